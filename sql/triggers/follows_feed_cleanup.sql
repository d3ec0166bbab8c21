-- Deploy microblog:triggers/follows_feed_cleanup to pg
-- requires: schema/feed_entries
-- requires: schema/follows
-- requires: functions/author_lock
-- requires: schema/feed_states
-- requires: functions/feed_deliver
-- requires: functions/job_post_purge

begin;
set local role microblog_owner;

-- When an unfollow returns, no page shows the author any more: the rows are gone. They are found by
-- what they can be of, a few keys looked up in the primary key, instead of reading the follower's
-- whole timeline: of the author's top-level posts above the horizon, below which nothing is kept,
-- and below the author's open range, of which nothing was delivered; and of deleted posts that wait
-- for their purge.
--
-- Touches rows of app.feed_states (locks), the authors' locks (follower side), app.posts and
-- app.jobs (reads), app.feed_entries (deletes).
create function app.tg_follows__feed_cleanup()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  -- Excludes the rebuild of these readers' timelines.
  perform from app.feed_states s
    where s.user_id in (select f.follower_id from old_follows f)
    order by s.user_id
    for share;
  perform app.author_lock_shared(array(select distinct f.followed_id from old_follows f));

  with author as materialized (
    select distinct f.followed_id as id from old_follows f
  ),
  doomed as materialized (
    select p.author_id, p.id
    from author a
    join app.posts p
      on p.author_id = a.id
        and not p.is_reply
        and p.id >= (select h.post_id from app.feed_horizon h)
        and p.id < app.pull_from(a.id)
    union all
    select a.id, (j.args ->> 'post_id')::bigint
    from author a
    join app.jobs j on j.kind = 'post_purge' and j.args ->> 'author_id' = a.id::text
  )
  delete from app.feed_entries e
  using old_follows f
  join doomed d on d.author_id = f.followed_id
  where e.user_id = f.follower_id and e.post_id = d.id;
  return null;
end
$$;

comment on function app.tg_follows__feed_cleanup() is 'Takes posts of the unfollowed out of the follower''s timeline';

create trigger t20_feed_cleanup
after delete on app.follows
referencing old table as old_follows
for each statement
execute function app.tg_follows__feed_cleanup();

commit;
