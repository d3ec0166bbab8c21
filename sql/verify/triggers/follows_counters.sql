-- Verify microblog:triggers/follows_counters on pg

begin;

select 'app.tg_follows__counters'::regproc;
select 1 / count(*)
from pg_trigger
where tgrelid = 'app.follows'::regclass and tgname = 't30_counters_insert' and tgenabled <> 'D';
select 1 / count(*)
from pg_trigger
where tgrelid = 'app.follows'::regclass and tgname = 't30_counters_delete' and tgenabled <> 'D';

rollback;
