-- Revert microblog:functions/feed_mine from pg

begin;

drop function api.feed_mine;

commit;
