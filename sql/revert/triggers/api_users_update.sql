-- Revert microblog:triggers/api_users_update from pg

begin;

drop trigger t30_update_row_require on api.users;
drop trigger t20_update on api.users;
drop trigger t10_filter_require on api.users;
drop function app.tg_api_users__update;
revoke execute on function app.username_require(text) from member;

commit;
