-- Revert microblog:functions/job_prune from pg

begin;

delete from app.job_schedules where kind = 'prune';
drop function app.job_prune;

commit;
