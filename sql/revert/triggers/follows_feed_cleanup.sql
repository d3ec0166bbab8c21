-- Revert microblog:triggers/follows_feed_cleanup from pg

begin;

drop trigger t20_feed_cleanup on app.follows;
drop function app.tg_follows__feed_cleanup;

commit;
