-- Revert microblog:functions/feed_public from pg

begin;

drop function api.feed_public;

commit;
