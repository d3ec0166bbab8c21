-- Deploy microblog:schema/dba_cache to pg
-- requires: schema/cache

begin;
set local role microblog_owner;

create view dba.cache as
select
  p.proxy,
  now() - p.reported_at as reported_age,
  p.hits,
  p.misses,
  round(p.hits::numeric / nullif(p.hits + p.misses, 0), 3) as hit_ratio,
  p.entries,
  p.bytes,
  p.max_bytes,
  p.conditional_short,
  p.conditional_full,
  p.conditional_fallback,
  p.conditional_changed,
  p.feeds_direct,
  p.feeds_fallback
from app.cache_proxies p;

comment on view dba.cache is
  'The shared page cache of each proxy: hits and misses since its start, answers and bytes it holds, at most; conditional requests by how they were answered; pages of feeds that came from the database itself, and questions that it gave no answer to';

create view dba.cache_calls as
select
  c.call,
  s.value * interval '1 second' as lifetime,
  now() - r.filled_at as age,
  coalesce(r.invalidations, 0) as invalidations,
  now() - r.invalidated_at as invalidated_age
from app.cached_calls c
join app.settings s on s.name = c.lifetime_setting
left join app.cache_reports r on r.call = c.call;

comment on view dba.cache_calls is
  'Calls whose answers are shared: for how long, the age of the newest answer, and invalidations';

grant select on dba.cache, dba.cache_calls to monitor;

commit;
