-- Verify microblog:functions/health on pg

begin;

select 'api.up'::regproc;
select 'api.health'::regproc;

rollback;
