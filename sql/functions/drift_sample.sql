-- Deploy microblog:functions/drift_sample to pg
-- requires: functions/counter_drift
-- requires: functions/feed_drift

begin;
set local role microblog_owner;

-- dba.counter_drift and dba.feed_drift for some users, where all of them would take hours.
create function dba.drift_sample(user_ids bigint[])
returns table (problem text, user_id bigint, post_id bigint)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
begin atomic
  with sample as materialized (
    select distinct u.id as user_id from unnest(user_ids) as u (id)
  ),
  definition as (
    select
      f.follower_id as user_id,
      p.id as post_id,
      p.id >= h.post_id
        and p.id >= s.complete_from
        and not app.is_pulled(p.author_id, p.id) as is_kept
    from sample m
    join app.follows f on f.follower_id = m.user_id
    join app.posts p on p.author_id = f.followed_id
    join app.feed_states s on s.user_id = f.follower_id
    cross join app.feed_horizon h
    where not p.is_reply
  ),
  entries as (
    select e.user_id, e.post_id
    from sample m
    join app.feed_entries e on e.user_id = m.user_id
  )
  select
    case when e.post_id is null then 'missing' else 'surplus' end,
    coalesce(e.user_id, d.user_id),
    coalesce(e.post_id, d.post_id)
  from entries e
  full join definition d on d.user_id = e.user_id and d.post_id = e.post_id
  where (e.post_id is null and d.is_kept) or d.post_id is null
  union all
  select 'counters', m.user_id, null::bigint
  from sample m
  left join app.user_counts c on c.user_id = m.user_id
  where (c.followers_count, c.following_count, c.posts_count) is distinct from (
    (select count(*) from app.follows f where f.followed_id = m.user_id),
    (select count(*) from app.follows f where f.follower_id = m.user_id),
    (select count(*) from app.posts p where p.author_id = m.user_id)
  );
end;

comment on function dba.drift_sample(bigint[]) is
  'Audit of these users alone: feed rows missing or surplus, and counters that differ from a recount; expected once the queue is empty: none';

commit;
