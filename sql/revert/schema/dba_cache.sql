-- Revert microblog:schema/dba_cache from pg

begin;

drop view dba.cache_calls;
drop view dba.cache;

commit;
