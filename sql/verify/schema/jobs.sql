-- Verify microblog:schema/jobs on pg

begin;

select id, kind, args, progress, chunks, state, attempts, run_at, turn_at, created_at, last_error from app.jobs where false;
select kind, every, next_run_at, description from app.job_schedules where false;
select name, started_at, seen_at from app.workers where false;

rollback;
