-- Deploy microblog:functions/counter_drift to pg
-- requires: functions/counters_add

begin;
set local role microblog_owner;

-- One snapshot for cache and recount: right under load as well. Reads every row there is.
create function dba.counter_drift()
returns table (counter text, id bigint, cached bigint, recounted bigint)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
begin atomic
  select d.counter, d.id, d.cached, d.recounted
  from (
    select
      'followers' as counter,
      u.id,
      c.followers_count::bigint as cached,
      coalesce(n.n, 0) as recounted
    from app.users u
    left join app.user_counts c on c.user_id = u.id
    left join (select f.followed_id, count(*) as n from app.follows f group by f.followed_id) n
      on n.followed_id = u.id
    union all
    select 'following', u.id, c.following_count::bigint, coalesce(n.n, 0)
    from app.users u
    left join app.user_counts c on c.user_id = u.id
    left join (select f.follower_id, count(*) as n from app.follows f group by f.follower_id) n
      on n.follower_id = u.id
    union all
    select 'posts', u.id, c.posts_count::bigint, coalesce(n.n, 0)
    from app.users u
    left join app.user_counts c on c.user_id = u.id
    left join (select p.author_id, count(*) as n from app.posts p group by p.author_id) n
      on n.author_id = u.id
    union all
    select 'replies', p.id, p.replies_count + coalesce(
      (select sum(d.replies) from app.post_counter_deltas d where d.post_id = p.id), 0
    ), coalesce(n.n, 0)
    from app.posts p
    left join (
      select r.parent_id, count(*) as n from app.posts r where r.parent_id is not null group by r.parent_id
    ) n on n.parent_id = p.id
  ) d
  where d.cached is distinct from d.recounted
  order by d.counter, d.id;
end;

comment on function dba.counter_drift() is
  'Audit: cached counts that differ from a recount, null where there is none; expected: none. Reads all follows and posts';

-- Corrections go the way of every other change, so that counting goes on meanwhile.
create function dba.counter_repair()
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_drift record;
  v_repaired bigint := 0;
begin
  insert into app.user_counters (user_id)
  select u.id
  from app.users u
  where not exists (select from app.user_counters c where c.user_id = u.id)
  on conflict do nothing;

  for v_drift in select d.counter, d.id, d.recounted - d.cached as change from dba.counter_drift() d loop
    if v_drift.counter = 'replies' then
      perform app.post_counters_add(array[v_drift.id], array[v_drift.change::integer]);
    else
      perform app.user_counters_add(
        array[v_drift.id],
        array[case v_drift.counter when 'followers' then v_drift.change else 0 end::integer],
        array[case v_drift.counter when 'following' then v_drift.change else 0 end::integer],
        array[case v_drift.counter when 'posts' then v_drift.change else 0 end::integer]
      );
    end if;
    v_repaired := v_repaired + 1;
  end loop;
  return v_repaired;
end
$$;

comment on function dba.counter_repair() is 'Sets drifted counters right; returns how many there were';

commit;
