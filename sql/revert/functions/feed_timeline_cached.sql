-- Revert microblog:functions/feed_timeline_cached from pg

begin;

drop function api.feed_timeline_cached;
drop function app.inactive_feed;

commit;
