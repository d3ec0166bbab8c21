-- Verify microblog:functions/feed_rows on pg

begin;

select 'app.feed_ids'::regproc;
select 'app.feed_rows'::regproc;

rollback;
