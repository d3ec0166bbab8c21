-- Verify microblog:functions/feed_public_cached on pg

begin;

select 'api.feed_public_cached'::regproc;

rollback;
