-- Verify microblog:triggers/follows_backfill on pg

begin;

select 'app.tg_follows__backfill'::regproc;
select 1 / count(*)
from pg_trigger
where tgrelid = 'app.follows'::regclass and tgname = 't20_backfill' and tgenabled <> 'D';

rollback;
