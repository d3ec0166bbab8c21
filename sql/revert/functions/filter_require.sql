-- Revert microblog:functions/filter_require from pg

begin;

drop function app.tg_api__filter_require;

commit;
