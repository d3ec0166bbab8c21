-- Verify microblog:functions/feed_timeline_cached on pg

begin;

select 'api.feed_timeline_cached'::regproc, 'app.inactive_feed'::regproc;

rollback;
