-- Revert microblog:functions/job_fan_out from pg

begin;

drop function app.job_fan_out;

commit;
