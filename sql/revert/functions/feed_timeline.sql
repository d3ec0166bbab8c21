-- Revert microblog:functions/feed_timeline from pg

begin;

drop function api.feed_timeline;

commit;
