-- Verify microblog:functions/feed_following on pg

begin;

select 'api.feed_following'::regproc;

rollback;
