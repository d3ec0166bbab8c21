-- Revert microblog:functions/import_graph from pg

begin;

drop function app.import_graph;
drop function app.import_problem;
drop function app.import_stage;

commit;
