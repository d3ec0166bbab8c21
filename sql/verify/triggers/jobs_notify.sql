-- Verify microblog:triggers/jobs_notify on pg

begin;

select 'app.tg_jobs__notify'::regproc;
select 1 / count(*)
from pg_trigger
where tgrelid = 'app.jobs'::regclass and tgname = 't10_notify' and tgenabled <> 'D';

rollback;
