-- Verify microblog:functions/account_close on pg

begin;

select 'app.account_close'::regproc;
select 'app.job_account_purge'::regproc;

rollback;
