-- Revert microblog:functions/job_feeds from pg

begin;

delete from app.job_schedules where kind = 'feeds_release';
drop function app.job_feeds_release;
drop function app.job_feed_rebuild;
drop function app.feed_authors;
drop function app.posts_kept;
drop function app.feed_keep;

commit;
