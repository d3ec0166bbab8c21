-- Revert microblog:functions/job_requeue from pg

begin;

drop function dba.job_requeue;

commit;
