-- Verify microblog:triggers/users_lifecycle on pg

begin;

select 'app.tg_users__counters'::regproc;
select 1 / count(*)
from pg_trigger
where tgrelid = 'app.users'::regclass and tgname = 't10_counters' and tgenabled <> 'D';
select 'app.tg_users__detach'::regproc;
select 1 / count(*)
from pg_trigger
where tgrelid = 'app.users'::regclass and tgname = 't10_detach' and tgenabled <> 'D';

rollback;
