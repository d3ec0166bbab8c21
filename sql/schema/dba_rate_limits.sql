-- Deploy microblog:schema/dba_rate_limits to pg
-- requires: schema/rate_limits

begin;
set local role microblog_owner;

-- A key that was refused and never allowed has no bucket.
create view dba.rate_limit_keys as
select
  r.name as rule,
  k.window_seconds,
  k.key,
  coalesce(k.quota, r.quota) as quota,
  case
    when (k.slot + 21) * k.window_seconds / 20.0 < extract(epoch from clock_timestamp()) then 0
    else coalesce(k.hit_count - k.past_counts[21], 0)
  end as hits_in_window,
  coalesce(k.hit_count, 0) as hits,
  coalesce(k.refusal_count, 0) + coalesce(k.unfolded_count, 0) as refusals,
  to_timestamp(k.slot * k.window_seconds / 20.0) as last_hit_at
from (
  app.rate_limit_buckets b
  full join (
    select n.rule_id, n.window_seconds, n.key, sum(n.refusal_count) as unfolded_count
    from app.rate_limit_refusals n
    group by n.rule_id, n.window_seconds, n.key
  ) f using (rule_id, window_seconds, key)
) k
join app.rate_limits r on r.id = k.rule_id;

comment on view dba.rate_limit_keys is
  'What each key has used of each limit, also where it was refused and never allowed; the busiest first with: order by hits desc limit 20';
comment on column dba.rate_limit_keys.window_seconds is
  'Window in which these were counted; another one than the rule''s where that was changed since';
comment on column dba.rate_limit_keys.hits_in_window is
  'Calls as of the last one; some of them may have left the window since';
comment on column dba.rate_limit_keys.hits is 'Calls allowed since the key was last quiet for a window';
comment on column dba.rate_limit_keys.refusals is 'Calls refused since then; of a dry run: that would have been';
comment on column dba.rate_limit_keys.last_hit_at is
  'To a twentieth of the window; null where no call was allowed';

create view dba.rate_limits as
select
  r.name as rule,
  r.quota,
  r.window_seconds,
  r.scope,
  r.is_enabled,
  r.is_dry_run,
  coalesce(k.keys, 0) as keys,
  coalesce(k.hits, 0) + coalesce(t.hit_count, 0) as hits,
  coalesce(k.refusals, 0) + coalesce(t.refusal_count, 0) as refusals,
  k.busiest_key,
  k.busiest_hits
from app.rate_limits r
left join app.rate_limit_totals t on t.rule_id = r.id
left join lateral (
  select
    count(*) as keys,
    sum(u.hits)::bigint as hits,
    sum(u.refusals)::bigint as refusals,
    (array_agg(u.key order by u.hits + u.refusals desc, u.key))[1] as busiest_key,
    max(u.hits + u.refusals) as busiest_hits
  from dba.rate_limit_keys u
  where u.rule = r.name
) k on true;

comment on view dba.rate_limits is
  'Each limit with its keys in use, hits and refusals since the server was last recovered from a crash, and its busiest key';
comment on column dba.rate_limits.busiest_hits is 'Calls of the busiest key, refused ones included';

-- For support: somebody locked out by mistake, a test that starts afresh.
create function dba.rate_limit_forget(key text, rule text default null)
returns bigint
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
begin atomic
  with gone as (
    delete from app.rate_limit_buckets b
      where b.key = rate_limit_forget.key
        and (
          rate_limit_forget.rule is null
          or b.rule_id = (select r.id from app.rate_limits r where r.name = rate_limit_forget.rule)
        )
      returning b.rule_id, b.hit_count, b.refusal_count
  ),
  added as (
    insert into app.rate_limit_totals as t (rule_id, hit_count, refusal_count)
      select g.rule_id, sum(g.hit_count), sum(g.refusal_count)
      from gone g
      group by g.rule_id
      on conflict on constraint rate_limit_totals_pkey do update
        set hit_count = t.hit_count + excluded.hit_count,
          refusal_count = t.refusal_count + excluded.refusal_count
  )
  select count(*) from gone;
end;

comment on function dba.rate_limit_forget(text, text) is
  'Gives a key its whole quota back, for one rule or for all; returns the number of buckets forgotten';

grant select on dba.rate_limits, dba.rate_limit_keys to monitor;

commit;
