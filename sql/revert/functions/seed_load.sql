-- Revert microblog:functions/seed_load from pg

begin;

drop function app.seed_end;
drop function app.seed_mutual;
drop function app.seed_feeds;
drop function app.seed_pull_ranges;
drop function app.seed_restore;
drop function app.seed_begin;
drop function app.seed_indexes;

commit;
