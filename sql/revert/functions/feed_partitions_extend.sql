-- Revert microblog:functions/feed_partitions_extend from pg

begin;

delete from app.job_schedules where kind = 'feed_partitions';
drop function app.job_feed_partitions;
drop function app.feed_partitions_extend;

commit;
