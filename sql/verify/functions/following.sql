-- Verify microblog:functions/following on pg

begin;

select 'api.following'::regproc;

rollback;
