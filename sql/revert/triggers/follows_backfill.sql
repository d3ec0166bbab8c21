-- Revert microblog:triggers/follows_backfill from pg

begin;

drop trigger t20_backfill on app.follows;
drop function app.tg_follows__backfill;

commit;
