-- Verify microblog:functions/password_change on pg

begin;

select 'api.password_change'::regproc;

rollback;
