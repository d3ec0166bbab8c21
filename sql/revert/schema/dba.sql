-- Revert microblog:schema/dba from pg

begin;

drop view dba.counter_deltas;
drop view dba.feed_partitions;
drop view dba.workers;
drop view dba.queue;

commit;
