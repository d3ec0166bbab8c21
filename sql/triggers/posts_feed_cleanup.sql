-- Deploy microblog:triggers/posts_feed_cleanup to pg
-- requires: schema/feed_entries
-- requires: schema/follows
-- requires: functions/author_lock
-- requires: functions/job_work
-- requires: functions/feed_deliver

begin;
set local role microblog_owner;

-- A deleted post is gone from every page at once, because pages read app.posts. This removes
-- what it left in app.feed_entries: here for a small author, by a job for others. The lock waits
-- for follows whose backfill saw the post.
create function app.tg_posts__feed_cleanup()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $$
declare
  v_author_id bigint;
  v_followers bigint;
  v_sync_limit constant bigint := app.setting('fan_out_sync_limit');
begin
  for v_author_id in
    select p.author_id
    from old_posts p
    where not p.is_reply and p.author_id is not null
    group by p.author_id
    order by p.author_id
  loop
    perform app.author_lock(v_author_id);
    select c.followers_count into v_followers from app.user_counts c where c.user_id = v_author_id;

    if v_followers <= v_sync_limit then
      delete from app.feed_entries e
      using old_posts p, app.follows f
      where p.author_id = v_author_id
        and not p.is_reply
        and f.followed_id = v_author_id
        and e.user_id = f.follower_id
        and e.post_id = p.id;
    else
      insert into app.jobs (kind, args, turn_at)
      select
        'post_purge',
        jsonb_build_object('post_id', p.id, 'author_id', p.author_id),
        app.job_turn(v_followers)
      from old_posts p
      where p.author_id = v_author_id
        and not p.is_reply
        and not app.is_pulled(p.author_id, p.id)
      order by p.id;
    end if;
  end loop;
  return null;
end
$$;

comment on function app.tg_posts__feed_cleanup() is 'Removes deleted posts from timelines, at once or by a job';

create trigger t20_feed_cleanup
after delete on app.posts
referencing old table as old_posts
for each statement
execute function app.tg_posts__feed_cleanup();

commit;
