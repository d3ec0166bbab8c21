-- Verify microblog:functions/account_delete on pg

begin;

select 'api.account_delete'::regproc;

rollback;
