-- Verify microblog:schema/dba on pg

begin;

select 1 from dba.queue where false;
select 1 from dba.workers where false;
select 1 from dba.feed_partitions where false;
select 1 from dba.counter_deltas where false;

rollback;
