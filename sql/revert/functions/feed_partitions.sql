-- Revert microblog:functions/feed_partitions from pg

begin;

delete from app.job_schedules where kind = 'feed_partitions';
drop function app.job_feed_partitions;
drop function app.feed_partitions_drop;
drop function app.feed_partitions_extend;

commit;
