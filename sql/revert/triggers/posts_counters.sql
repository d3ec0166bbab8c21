-- Revert microblog:triggers/posts_counters from pg

begin;

drop trigger t30_counters_delete on app.posts;
drop trigger t30_counters_insert on app.posts;
drop function app.tg_posts__counters;

commit;
