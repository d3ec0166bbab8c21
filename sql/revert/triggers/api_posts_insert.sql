-- Revert microblog:triggers/api_posts_insert from pg

begin;

drop trigger t30_insert_row_require on api.posts;
drop trigger t20_insert on api.posts;
drop function app.tg_api_posts__insert;

commit;
