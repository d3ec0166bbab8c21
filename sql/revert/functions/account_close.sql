-- Revert microblog:functions/account_close from pg

begin;

drop function app.job_account_purge;
drop function app.account_close;

commit;
