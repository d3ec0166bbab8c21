-- Verify microblog:functions/seed_floor on pg

begin;

select
  'app.seed_floor_end()'::regprocedure,
  'app.seed_floor_begin()'::regprocedure,
  'app.seed_floor_index(integer)'::regprocedure;

rollback;
