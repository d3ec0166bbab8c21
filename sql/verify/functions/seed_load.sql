-- Verify microblog:functions/seed_load on pg

begin;

select
  'app.seed_indexes()'::regprocedure,
  'app.seed_begin()'::regprocedure,
  'app.seed_restore(regclass)'::regprocedure,
  'app.seed_pull_ranges()'::regprocedure,
  'app.seed_feeds(bigint, bigint)'::regprocedure,
  'app.seed_mutual(bigint[])'::regprocedure,
  'app.seed_end()'::regprocedure;

rollback;
