-- Revert microblog:triggers/api_follows_write from pg

begin;

drop trigger t10_rows_count on app.follows;
drop function app.tg_follows__rows_count;
drop trigger t10_filter_require on app.follows;
drop trigger t30_insert_row_require on api.follows;
drop trigger t20_insert on api.follows;
drop function app.tg_api_follows__insert;

commit;
