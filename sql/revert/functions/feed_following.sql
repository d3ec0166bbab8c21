-- Revert microblog:functions/feed_following from pg

begin;

drop function api.feed_following;

commit;
