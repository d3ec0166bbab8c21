-- Deploy microblog:triggers/follows_backfill to pg
-- requires: schema/feed_entries
-- requires: schema/follows
-- requires: functions/author_lock
-- requires: functions/job_work
-- requires: functions/feed_deliver

begin;
set local role microblog_owner;

-- The newest posts of the followed are in the timeline when the follow returns; where there are
-- more, a job brings the rest. Nothing is evicted: a feed has no cap.
--
-- Touches the authors' locks (follower side), app.posts (reads), app.feed_entries and app.jobs
-- (inserts).
create function app.tg_follows__backfill()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $$
declare
  v_limit constant bigint := app.setting('backfill_sync_limit');
begin
  -- Excludes the rebuild and the release of these readers' timelines.
  perform from app.feed_states s
    where s.user_id in (select f.follower_id from new_follows f)
    order by s.user_id
    for share;
  perform app.author_lock_shared(array(select distinct f.followed_id from new_follows f));

  insert into app.feed_entries (user_id, post_id)
  select f.follower_id, p.id
  from new_follows f
  join app.feed_states s on s.user_id = f.follower_id
  cross join lateral (
    select p.id
    from app.posts p
    where p.author_id = f.followed_id
      and not p.is_reply
      and p.id >= s.delivered_from
      and p.id >= (select h.post_id from app.feed_horizon h)
      and p.id < app.pull_from(f.followed_id)
      and not app.is_pulled(p.author_id, p.id)
    order by p.id desc
    limit v_limit
  ) p
  on conflict do nothing;

  insert into app.jobs (kind, args)
  select
    'follow_backfill',
    jsonb_build_object('follower_id', f.follower_id, 'followed_id', f.followed_id)
  from new_follows f
  join app.feed_states s on s.user_id = f.follower_id
  where exists (
    select
    from app.posts p
    where p.author_id = f.followed_id
      and not p.is_reply
      and p.id >= s.delivered_from
      and p.id >= (select h.post_id from app.feed_horizon h)
      and p.id < app.pull_from(f.followed_id)
      and not app.is_pulled(p.author_id, p.id)
    order by p.id desc
    offset v_limit
  );
  return null;
end
$$;

comment on function app.tg_follows__backfill() is 'Brings posts of the followed into the follower''s timeline';

create trigger t20_backfill
after insert on app.follows
referencing new table as new_follows
for each statement
execute function app.tg_follows__backfill();

commit;
