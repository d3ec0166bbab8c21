-- Verify microblog:functions/job_rate_limits on pg

begin;

select 'app.job_rate_limits'::regproc;
select 1 / count(*) from app.job_schedules where kind = 'rate_limits';

rollback;
