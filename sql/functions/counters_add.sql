-- Deploy microblog:functions/counters_add to pg
-- requires: schema/users
-- requires: schema/posts

begin;
set local role microblog_owner;

-- Never waits. A counter row that is free is updated in place; one that another transaction
-- holds gets a delta appended instead. So a thousand followers of one author at once do not queue
-- behind one row, A↔B follows cannot deadlock, and in quiet times there is nothing to fold.
-- Benchmark: bench/sql/follow_storm.
--
-- PL/pgSQL, which keeps the plan in the session: a function in SQL that cannot be inlined is planned at
-- each call, which took longer than the statement.
--
-- Touches app.user_counters (locks rows in id order, skips locked ones) and
-- app.user_counter_deltas (inserts). One array element a user; no user twice.
create function app.user_counters_add(
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
    for no key update skip locked
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

comment on function app.user_counters_add(bigint[], integer[], integer[], integer[]) is
  'Adds to counters of users, parallel arrays, without ever waiting for another transaction';

-- The same for replies_count, whose row is the post itself.
create function app.post_counters_add(post_ids bigint[], replies integer[])
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $$
begin
  with change as (
    select c.post_id, c.replies
    from unnest(post_counters_add.post_ids, post_counters_add.replies) as c (post_id, replies)
  ),
  free as materialized (
    select p.id
    from app.posts p
    where p.id = any (post_counters_add.post_ids)
    order by p.id
    for no key update skip locked
  ),
  updated as (
    update app.posts p
    set replies_count = p.replies_count + x.replies
    from change x
    join free f on f.id = x.post_id
    where p.id = x.post_id
    returning p.id
  )
  insert into app.post_counter_deltas (post_id, replies)
  select x.post_id, x.replies
  from change x
  where not exists (select from updated u where u.id = x.post_id);
end
$$;

comment on function app.post_counters_add(bigint[], integer[]) is
  'Adds to the reply counters of posts, parallel arrays, without ever waiting for another transaction';

commit;
