-- Revert microblog:triggers/follows_counters from pg

begin;

drop trigger t30_counters_delete on app.follows;
drop trigger t30_counters_insert on app.follows;
drop function app.tg_follows__counters;

commit;
