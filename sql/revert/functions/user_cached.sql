-- Revert microblog:functions/user_cached from pg

begin;

drop function api.user_cached;

commit;
