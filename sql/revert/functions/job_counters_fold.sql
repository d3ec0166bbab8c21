-- Revert microblog:functions/job_counters_fold from pg

begin;

delete from app.job_schedules where kind = 'counters_fold';
drop function app.job_counters_fold;

commit;
