-- Deploy microblog:functions/cache to pg
-- requires: schema/cache
-- requires: functions/response_header

begin;
set local role microblog_owner;

-- For whoever has no access to app.settings. What comes from a materialised view is as old as that,
-- and may be shared for what is left of its lifetime, so that it is never older than that and the
-- time until the refresh. While that is under way it is shared from second to second.
--
-- HAProxy 2.6 reads two characters beyond s-maxage's number, so something that is no digit follows;
-- and it keeps no answer with an Age of 0.
create function app.cache_shared(call text, from_view boolean default true)
returns boolean
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_lifetime bigint;
  v_age bigint;
begin
  select s.value, greatest(0, ceil(extract(epoch from now() - v.refreshed_at)))
    into strict v_lifetime, v_age
    from app.cached_calls c
    join app.settings s on s.name = c.lifetime_setting
    left join app.view_refreshes v on v.lifetime_setting = c.lifetime_setting and from_view
    where c.call = cache_shared.call;
  if v_age > 0 then
    perform app.response_header('Age', v_age::text);
  end if;
  perform app.response_header(
    'Cache-Control',
    case
      when v_lifetime > 0 then 's-maxage=' || greatest(1, v_lifetime - v_age) || ', public'
      else 'no-store'
    end
  );
  return true;
end
$$;

comment on function app.cache_shared(text, boolean) is
  'Says in the headers Age (seconds) and Cache-Control (s-maxage) how old this answer is, and how long the proxy may share it; from_view: where the call has a materialised view, the answer comes from it. Always true';

grant execute on function app.cache_shared(text, boolean) to anon, member;

-- The proxy gives each part of what it keeps a version; a new one makes the old answers unreachable.
-- A part is all that a call answered, or, of /rpc/user_cached, the profiles whose ids have the same
-- remainder by 64: '/rpc/user_cached/7'.
create function dba.cache_invalidate(part text default null)
returns void
language plpgsql
volatile
as $$
begin
  if part is not null
    and part not in (select c.call from app.cached_calls c)
    and part !~ '^/rpc/user_cached/([0-9]|[1-5][0-9]|6[0-3])$'
  then
    raise exception 'The shared page cache has no part %.', part
      using errcode = 'invalid_parameter_value',
        hint = 'A call of dba.cache_calls, /rpc/user_cached/<user id modulo 64>, or null for all.';
  end if;
  perform pg_notify('microblog_cache', coalesce(part, 'all'));
end
$$;

comment on function dba.cache_invalidate(text) is
  'Empties the shared page cache, or the part of it that is named, once this transaction commits and a worker has told the proxy';

create function app.cache_keep()
returns boolean
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
begin atomic
  select pg_try_advisory_lock(hashtext('app.cache_keep'));
end;

comment on function app.cache_keep() is
  'Whether this session is the one that carries invalidations to the proxies, from now on until it ends';

create function app.cache_report(
  proxies jsonb,
  filled jsonb,
  invalidated jsonb
)
returns void
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
begin atomic
  insert into app.cache_proxies (
    proxy, hits, misses, entries, bytes, max_bytes,
    conditional_short, conditional_full, conditional_fallback, conditional_changed,
    feeds_direct, feeds_fallback
  )
  select
    p.proxy, p.hits, p.misses, p.entries, p.bytes, p.max_bytes,
    p.conditional_short, p.conditional_full, p.conditional_fallback, p.conditional_changed,
    p.feeds_direct, p.feeds_fallback
  from jsonb_to_recordset(proxies) p (
    proxy text, hits bigint, misses bigint, entries bigint, bytes bigint, max_bytes bigint,
    conditional_short bigint, conditional_full bigint, conditional_fallback bigint,
    conditional_changed bigint, feeds_direct bigint, feeds_fallback bigint
  )
  on conflict on constraint cache_proxies_pkey do update
  set
    reported_at = now(),
    hits = excluded.hits,
    misses = excluded.misses,
    entries = excluded.entries,
    bytes = excluded.bytes,
    max_bytes = excluded.max_bytes,
    conditional_short = excluded.conditional_short,
    conditional_full = excluded.conditional_full,
    conditional_fallback = excluded.conditional_fallback,
    conditional_changed = excluded.conditional_changed,
    feeds_direct = excluded.feeds_direct,
    feeds_fallback = excluded.feeds_fallback;
  delete from app.cache_proxies p where p.reported_at < now() - interval '1 hour';

  insert into app.cache_reports (call, filled_at, invalidations, invalidated_at)
  select
    c.call,
    to_timestamp((filled ->> c.call)::double precision),
    i.times,
    case when i.times > 0 then now() end
  from app.cached_calls c
  cross join lateral (
    select
      coalesce((invalidated ->> c.call)::bigint, 0) + coalesce((invalidated ->> 'all')::bigint, 0)
        as times
  ) i
  on conflict on constraint cache_reports_pkey do update
  set
    filled_at = greatest(cache_reports.filled_at, excluded.filled_at),
    invalidations = cache_reports.invalidations + excluded.invalidations,
    invalidated_at = coalesce(excluded.invalidated_at, cache_reports.invalidated_at);
end;

comment on function app.cache_report(jsonb, jsonb, jsonb) is
  'What a worker saw: [{proxy, hits, misses, entries, bytes, max_bytes, conditional_*, feeds_*}]; for each call when it was last answered anew, seconds since 1970; and how often it, or all, was invalidated since the last report';

grant execute on function app.cache_keep() to worker;
grant execute on function app.cache_report(jsonb, jsonb, jsonb) to worker;

commit;
