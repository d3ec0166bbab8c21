-- Verify microblog:functions/job_post_purge on pg

begin;

select 'app.job_post_purge'::regproc;

rollback;
