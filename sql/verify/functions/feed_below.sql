-- Verify microblog:functions/feed_below on pg

begin;

select 'app.feed_below'::regproc;

rollback;
