-- Verify microblog:functions/feed_page on pg

begin;

select 'app.feed_page'::regproc;

rollback;
