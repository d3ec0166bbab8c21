-- Verify microblog:functions/import_graph on pg

begin;

select
  'app.import_stage'::regproc,
  'app.import_problem'::regproc,
  'app.import_graph'::regproc;

rollback;
