-- Verify microblog:functions/feed_timeline on pg

begin;

select 'api.feed_timeline'::regproc;

rollback;
