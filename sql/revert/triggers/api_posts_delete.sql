-- Revert microblog:triggers/api_posts_delete from pg

begin;

drop trigger t30_delete_row_require on api.posts;
drop trigger t20_delete on api.posts;
drop trigger t10_filter_require on api.posts;
drop function app.tg_api_posts__delete;

commit;
