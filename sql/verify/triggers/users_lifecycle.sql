-- Verify microblog:triggers/users_lifecycle on pg

begin;

select 'app.tg_users__attach'::regproc;
select 1 / count(*)
from pg_trigger
where tgrelid = 'app.users'::regclass and tgname = 't10_attach' and tgenabled <> 'D';
select 'app.tg_users__detach'::regproc;
select 1 / count(*)
from pg_trigger
where tgrelid = 'app.users'::regclass and tgname = 't10_detach' and tgenabled <> 'D';

rollback;
