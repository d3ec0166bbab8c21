-- Verify microblog:functions/job_counters_fold on pg

begin;

select 'app.job_counters_fold'::regproc;
select 1 / count(*) from app.job_schedules where kind = 'counters_fold';

rollback;
