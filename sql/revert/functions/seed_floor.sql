-- Revert microblog:functions/seed_floor from pg

begin;

drop function app.seed_floor_index;
drop function app.seed_floor_begin;
drop function app.seed_floor_end;

commit;
