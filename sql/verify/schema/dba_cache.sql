-- Verify microblog:schema/dba_cache on pg

begin;

select proxy, reported_age, hits, misses, hit_ratio, entries, bytes, max_bytes,
  conditional_short, conditional_full, conditional_fallback, conditional_changed,
  feeds_direct, feeds_fallback
from dba.cache
where false;
select call, lifetime, age, invalidations, invalidated_age from dba.cache_calls where false;

rollback;
