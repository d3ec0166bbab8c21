-- Revert microblog:functions/cache from pg

begin;

drop function app.cache_report;
drop function app.cache_keep;
drop function dba.cache_invalidate;
drop function app.cache_shared;

commit;
