-- Revert microblog:functions/account_delete from pg

begin;

drop function api.account_delete;

commit;
