-- Verify microblog:functions/feed_partitions on pg

begin;

select 'app.feed_partitions_extend'::regproc;
select 'app.feed_partitions_drop'::regproc;
select 'app.job_feed_partitions'::regproc;
select 1 / count(*) from app.job_schedules where kind = 'feed_partitions';

rollback;
