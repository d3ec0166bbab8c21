-- Revert microblog:functions/login from pg

begin;

drop function api.login;

commit;
