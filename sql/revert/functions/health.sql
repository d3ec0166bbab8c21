-- Revert microblog:functions/health from pg

begin;

drop function api.health;
drop function api.up;

commit;
