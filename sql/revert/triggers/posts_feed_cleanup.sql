-- Revert microblog:triggers/posts_feed_cleanup from pg

begin;

drop trigger t20_feed_cleanup on app.posts;
drop function app.tg_posts__feed_cleanup;

commit;
