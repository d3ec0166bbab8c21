-- Verify microblog:functions/feed_public on pg

begin;

select 'api.feed_public'::regproc;

rollback;
