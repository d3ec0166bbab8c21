-- Revert microblog:functions/following from pg

begin;

drop function api.following;

commit;
