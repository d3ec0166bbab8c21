-- Revert microblog:functions/followers from pg

begin;

drop function api.followers;

commit;
