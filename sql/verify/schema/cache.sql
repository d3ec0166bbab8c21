-- Verify microblog:schema/cache on pg

begin;

select 1 / (count(*) - 2) from app.cached_calls;
select proxy, reported_at, hits, misses, entries, bytes, max_bytes, conditional_short,
  conditional_full, conditional_fallback, conditional_changed,
  feeds_direct, feeds_fallback
from app.cache_proxies
where false;
select call, filled_at, invalidations, invalidated_at from app.cache_reports where false;
select 1 / count(*) from app.settings where name = 'profile_lifetime';

rollback;
