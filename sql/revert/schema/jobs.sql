-- Revert microblog:schema/jobs from pg

begin;

drop table app.workers;
drop table app.job_schedules;
drop table app.jobs;

commit;
