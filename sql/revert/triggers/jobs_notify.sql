-- Revert microblog:triggers/jobs_notify from pg

begin;

drop trigger t10_notify on app.jobs;
drop function app.tg_jobs__notify;

commit;
