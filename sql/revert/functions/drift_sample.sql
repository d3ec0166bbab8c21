-- Revert microblog:functions/drift_sample from pg

begin;

drop function dba.drift_sample;

commit;
