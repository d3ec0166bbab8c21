-- Revert microblog:triggers/posts_fan_out from pg

begin;

drop trigger t20_fan_out on app.posts;
drop function app.tg_posts__fan_out;

commit;
