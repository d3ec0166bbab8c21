-- Revert microblog:functions/job_rate_limits from pg

begin;

delete from app.job_schedules where kind = 'rate_limits';
drop function app.job_rate_limits;

commit;
