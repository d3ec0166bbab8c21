-- Verify microblog:functions/job_requeue on pg

begin;

select 'dba.job_requeue'::regproc;

rollback;
