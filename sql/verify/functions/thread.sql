-- Verify microblog:functions/thread on pg

begin;

select 'api.thread'::regproc;

rollback;
