-- Revert microblog:functions/job_work from pg

begin;

drop function app.worker_bye;
drop function app.worker_heartbeat;
drop function app.job_next_due;
drop function app.job_work;
drop function app.job_turn;
drop function app.job_add;

commit;
