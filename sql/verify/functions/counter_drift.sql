-- Verify microblog:functions/counter_drift on pg

begin;

select 'dba.counter_drift'::regproc;
select 'dba.counter_repair'::regproc;

rollback;
