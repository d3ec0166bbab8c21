-- Revert microblog:functions/me from pg

begin;

drop function api.me;

commit;
