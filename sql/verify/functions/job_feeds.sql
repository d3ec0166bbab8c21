-- Verify microblog:functions/job_feeds on pg

begin;

select 'app.feed_keep'::regproc;
select 'app.posts_kept'::regproc;
select 'app.feed_authors'::regproc;
select 'app.job_feed_rebuild'::regproc;
select 'app.job_feeds_release'::regproc;
select 1 / count(*) from app.job_schedules where kind = 'feeds_release';

rollback;
