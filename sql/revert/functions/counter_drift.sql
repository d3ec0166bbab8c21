-- Revert microblog:functions/counter_drift from pg

begin;

drop function dba.counter_repair;
drop function dba.counter_drift;

commit;
