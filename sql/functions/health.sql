-- Deploy microblog:functions/health to pg
-- requires: schema/jobs
-- requires: schema/cache

begin;

-- The registry is sqitch's own; the owner of health needs to read the version off it.
grant usage on schema sqitch to microblog_owner;
grant select on sqitch.changes, sqitch.tags to microblog_owner;

set local role microblog_owner;

create function api.up()
returns json
language sql
stable
return json_build_object('status', 'ok');

comment on function api.up() is
$$Is the database there?

200 while it answers.$$;

create function api.health()
returns json
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_heartbeat double precision;
  v_workers bigint;
  v_queued bigint;
  v_dead bigint;
  v_age double precision;
  v_cache json;
begin
  select
      extract(epoch from now() - max(w.seen_at)),
      count(*) filter (where w.seen_at > now() - interval '15 seconds')
    into v_heartbeat, v_workers
    from app.workers w;
  select
      count(*) filter (where j.state = 'queued'),
      count(*) filter (where j.state = 'dead'),
      coalesce(
        extract(epoch from now() - min(j.created_at) filter (where j.state = 'queued')), 0
      )
    into v_queued, v_dead, v_age
    from app.jobs j;
  -- Unlogged: a replica has no such reports, and may not even look.
  if not pg_is_in_recovery() then
    select json_build_object(
        'hits', sum(p.hits),
        'misses', sum(p.misses),
        'bytes', sum(p.bytes),
        'age_seconds', (
          select round(extract(epoch from now() - max(r.filled_at)), 3) from app.cache_reports r
        ),
        'invalidations', (select coalesce(sum(r.invalidations), 0) from app.cache_reports r),
        'conditional', json_build_object(
          'short', sum(p.conditional_short),
          'full', sum(p.conditional_full),
          'fallback', sum(p.conditional_fallback),
          'changed', sum(p.conditional_changed)
        ),
        'feeds', json_build_object(
          'direct', sum(p.feeds_direct),
          'fallback', sum(p.feeds_fallback)
        )
      )
      into v_cache
      from app.cache_proxies p
      where p.reported_at > now() - interval '15 seconds';
  end if;
  return json_build_object(
    'status', case when v_workers > 0 and v_dead = 0 then 'ok' else 'degraded' end,
    'schema', json_build_object(
      'change', (
        select c.change from sqitch.changes c order by c.committed_at desc, c.planned_at desc limit 1
      ),
      'tag', (select t.tag from sqitch.tags t order by t.committed_at desc, t.planned_at desc limit 1)
    ),
    'worker', json_build_object(
      'alive', v_workers,
      'heartbeat_age_seconds', round(v_heartbeat::numeric, 3)
    ),
    'queue', json_build_object(
      'depth', v_queued,
      'oldest_age_seconds', round(v_age::numeric, 3),
      'dead', v_dead
    ),
    'cache', v_cache
  );
end
$$;

comment on function api.health() is
$$How is the service?

200 while the database answers; status is "degraded" when no worker was seen for 15 seconds or a
job is dead. Ages in seconds. cache: hits, misses and bytes of proxies that reported within 15
seconds, null if none did; the age of the newest shared answer; invalidations; conditional requests
by their X-Conditional; pages of feeds that the database gave the proxy itself, and requests for
feeds that it gave no answer to in time. On a replica it is null.$$;

grant execute on function api.up(), api.health() to anon, member;

commit;
