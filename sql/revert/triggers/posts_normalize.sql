-- Revert microblog:triggers/posts_normalize from pg

begin;

drop trigger t10_keep on app.posts;
drop function app.tg_posts__keep;
drop trigger t10_normalize on app.posts;
drop function app.tg_posts__normalize;

commit;
