-- Verify microblog:functions/login on pg

begin;

select 'api.login'::regproc;

rollback;
