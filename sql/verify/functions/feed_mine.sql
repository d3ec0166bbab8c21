-- Verify microblog:functions/feed_mine on pg

begin;

select 'api.feed_mine'::regproc;

rollback;
