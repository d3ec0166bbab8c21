-- app.user_counters_add without SKIP LOCKED: every change waits for the counter row.
create or replace function app.user_counters_add(
  user_ids bigint[],
  followers integer[],
  following integer[],
  posts integer[]
)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $$
begin
  with change as (
    select c.user_id, c.followers, c.following, c.posts
    from unnest(
      user_counters_add.user_ids,
      user_counters_add.followers,
      user_counters_add.following,
      user_counters_add.posts
    ) as c (user_id, followers, following, posts)
  ),
  free as materialized (
    select c.user_id
    from app.user_counters c
    where c.user_id = any (user_counters_add.user_ids)
    order by c.user_id
    for no key update
  ),
  updated as (
    update app.user_counters c
    set
      followers_count = c.followers_count + x.followers,
      following_count = c.following_count + x.following,
      posts_count = c.posts_count + x.posts
    from change x
    join free f on f.user_id = x.user_id
    where c.user_id = x.user_id
    returning c.user_id
  )
  insert into app.user_counter_deltas (user_id, followers, following, posts)
  select x.user_id, x.followers, x.following, x.posts
  from change x
  where not exists (select from updated u where u.user_id = x.user_id);
end
$$;
