-- Revert microblog:functions/job_follow_backfill from pg

begin;

drop function app.job_follow_backfill;

commit;
