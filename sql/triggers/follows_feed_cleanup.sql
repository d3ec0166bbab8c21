-- Deploy microblog:triggers/follows_feed_cleanup to pg
-- requires: schema/feed_entries
-- requires: schema/follows
-- requires: functions/author_lock
-- requires: schema/feed_states

begin;
set local role microblog_owner;

-- When an unfollow returns, no page shows the author any more: the rows are gone. By author_id,
-- not by the author's posts, so that it finds also what a deletion has not purged yet.
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

  delete from app.feed_entries e
  using old_follows f
  where e.user_id = f.follower_id and e.author_id = f.followed_id;
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
