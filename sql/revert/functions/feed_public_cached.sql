-- Revert microblog:functions/feed_public_cached from pg

begin;

drop function api.feed_public_cached;

commit;
