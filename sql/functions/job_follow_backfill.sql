-- Deploy microblog:functions/job_follow_backfill to pg
-- requires: schema/feed_entries
-- requires: schema/follows
-- requires: functions/author_lock
-- requires: functions/feed_deliver

begin;
set local role microblog_owner;

-- Locks the follow's row, so that an unfollow waits for the chunk and then removes what it
-- brought, and then the author, follower side. An unfollow and a new follow in between do no
-- harm: the rows are the same.
create function app.job_follow_backfill(args jsonb, progress bigint)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_follower_id constant bigint := args ->> 'follower_id';
  v_followed_id constant bigint := args ->> 'followed_id';
  v_chunk_size constant bigint := app.setting('backfill_chunk_size');
  v_from_id bigint;
  v_last_id bigint;
  v_size bigint;
begin
  perform from app.follows f
    where f.follower_id = v_follower_id and f.followed_id = v_followed_id
    for key share;
  if not found then
    return null;
  end if;
  select greatest(s.delivered_from, h.post_id)
    into v_from_id
    from app.feed_states s, app.feed_horizon h
    where s.user_id = v_follower_id
    for share of s;
  perform app.author_lock_shared(array[v_followed_id]);

  with chunk as materialized (
    select p.id
    from app.posts p
    where p.author_id = v_followed_id
      and not p.is_reply
      and p.id < coalesce(job_follow_backfill.progress, app.pull_from(v_followed_id))
      and p.id >= v_from_id
      and not app.is_pulled(p.author_id, p.id)
    order by p.id desc
    limit v_chunk_size
  ),
  brought as (
    insert into app.feed_entries (user_id, post_id)
    select v_follower_id, c.id
    from chunk c
    on conflict do nothing
  )
  select min(c.id), count(*) into v_last_id, v_size from chunk c;

  return case when v_size = v_chunk_size then v_last_id end;
end
$$;

comment on function app.job_follow_backfill(jsonb, bigint) is
  'Job {follower_id, followed_id}: brings all older posts after a follow. Progress: oldest post brought';

commit;
