-- Revert microblog:functions/job_post_purge from pg

begin;

drop function app.job_post_purge;

commit;
