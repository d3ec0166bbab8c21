-- Revert microblog:functions/password_change from pg

begin;

drop function api.password_change;

commit;
