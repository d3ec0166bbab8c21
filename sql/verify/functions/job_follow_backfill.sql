-- Verify microblog:functions/job_follow_backfill on pg

begin;

select 'app.job_follow_backfill'::regproc;

rollback;
