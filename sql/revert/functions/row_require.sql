-- Revert microblog:functions/row_require from pg

begin;

drop function app.tg_api__row_require;
drop function app.row_written;

commit;
