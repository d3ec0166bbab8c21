-- Verify microblog:functions/job_prune on pg

begin;

select 'app.job_prune'::regproc;
select 1 / count(*) from app.job_schedules where kind = 'prune';

rollback;
