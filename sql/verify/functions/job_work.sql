-- Verify microblog:functions/job_work on pg

begin;

select 'app.job_add'::regproc;
select 'app.job_turn'::regproc;
select 'app.job_work'::regproc;
select 'app.job_next_due'::regproc;
select 'app.worker_heartbeat'::regproc;
select 'app.worker_bye'::regproc;

rollback;
