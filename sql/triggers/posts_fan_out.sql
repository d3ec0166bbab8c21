-- Deploy microblog:triggers/posts_fan_out to pg
-- requires: schema/feed_entries
-- requires: schema/follows
-- requires: functions/author_lock
-- requires: functions/job_work
-- requires: functions/feed_deliver
--
-- Tiers by number of followers. Up to fan_out_sync_limit a post is delivered right here, in the
-- posting transaction: nothing to wait for. Above it, by a job (functions/job_fan_out). Above
-- fan_out_pull_limit not at all: readers merge it in (app.pull_ranges).
--
-- Plans are generic. One for each post, with the number of its author's followers known, looks cheaper,
-- and took as long to make as the delivery itself.
--
-- Touches app.feed_entries (inserts), app.jobs (inserts). Locks the author, fan-out side.

begin;
set local role microblog_owner;

create function app.tg_posts__fan_out()
returns trigger
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $$
declare
  v_author_id bigint;
  v_post_ids bigint[];
  v_followers bigint;
  v_sync_limit constant bigint := app.setting('fan_out_sync_limit');
begin
  for v_author_id, v_post_ids in
    select p.author_id, array_agg(p.id)
    from new_posts p
    where not p.is_reply and p.author_id is not null
    group by p.author_id
    order by p.author_id
  loop
    perform app.author_lock(v_author_id);
    select c.followers_count into v_followers from app.user_counts c where c.user_id = v_author_id;
    perform app.author_tier_settle(v_author_id, v_followers, v_post_ids);

    if v_followers <= v_sync_limit then
      insert into app.feed_entries (user_id, post_id)
      select f.follower_id, p.id
      from new_posts p
      join app.follows f on f.followed_id = p.author_id
      join app.feed_states s on s.user_id = f.follower_id and s.delivered_from <= p.id
      where p.author_id = v_author_id
        and not p.is_reply
        and p.id >= (select h.post_id from app.feed_horizon h)
        and not app.is_pulled(p.author_id, p.id)
      -- A follow made by the same statement may have brought the post already.
      on conflict do nothing;
    else
      insert into app.jobs (kind, args, turn_at)
      select
        'fan_out',
        jsonb_build_object('post_id', p.id, 'author_id', p.author_id),
        app.job_turn(v_followers)
      from new_posts p
      where p.author_id = v_author_id
        and not p.is_reply
        and p.id >= (select h.post_id from app.feed_horizon h)
        and not app.is_pulled(p.author_id, p.id)
      order by p.id;
    end if;
  end loop;
  return null;
end
$$;

comment on function app.tg_posts__fan_out() is 'Delivers new top-level posts to followers, at once or by a job';

create trigger t20_fan_out
after insert on app.posts
referencing new table as new_posts
for each statement
execute function app.tg_posts__fan_out();

commit;
