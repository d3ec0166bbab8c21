-- Verify microblog:functions/job_fan_out on pg

begin;

select 'app.job_fan_out'::regproc;

rollback;
