-- Verify microblog:functions/drift_sample on pg

begin;

select 'dba.drift_sample(bigint[])'::regprocedure;

rollback;
