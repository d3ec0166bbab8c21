-- Deploy microblog:functions/job_feeds to pg
-- requires: functions/feed_deliver
-- requires: functions/author_lock
-- requires: functions/job_work
--
-- Timelines are kept for active people only. A login keeps one active for the time of its session
-- and feed_active_time beyond; nothing is written when somebody reads.

begin;
set local role microblog_owner;

-- Called by every login. Whoever returns reads at once, from below the horizon, and the job makes
-- the rows behind them.
create function app.feed_keep(user_id bigint, session_end timestamptz)
returns void
language plpgsql
volatile
as $$
declare
  v_is_back boolean;
  v_returns integer;
begin
  select s.delivered_from = 9007199254740992
    into v_is_back
    from app.feed_states s
    where s.user_id = feed_keep.user_id
    for no key update;
  update app.feed_states s
    set
      active_until = greatest(
        s.active_until, session_end + app.setting('feed_active_time') * interval '1 second'
      ),
      delivered_from = least(s.delivered_from, h.post_id),
      returns = s.returns + v_is_back::integer
    from app.feed_horizon h
    where s.user_id = feed_keep.user_id
    returning s.returns into v_returns;
  if v_is_back then
    perform app.job_add(
      'feed_rebuild', jsonb_build_object('user_id', feed_keep.user_id, 'returns', v_returns)
    );
  end if;
end
$$;

comment on function app.feed_keep(bigint, timestamptz) is 'A session starts: its user''s timeline is kept from now on';

-- How much work an author is, to whoever brings or removes their posts.
create function app.posts_kept(author_id bigint, at_most bigint)
returns bigint
language sql
stable
begin atomic
  select count(*)
  from (
    select
    from app.posts p
    where p.author_id = posts_kept.author_id
      and not p.is_reply
      and p.id >= (select h.post_id from app.feed_horizon h)
      and p.id < app.pull_from(posts_kept.author_id)
    limit at_most
  ) p;
end;

comment on function app.posts_kept(bigint, bigint) is
  'How many posts of an author are in the timeline of each active follower, counted up to at_most';

create function app.feed_authors(user_id bigint, after_id bigint, authors bigint, posts bigint)
returns bigint[]
language plpgsql
stable
as $$
declare
  v_author_id bigint;
  v_authors bigint[] := '{}';
  v_posts_left bigint := posts;
begin
  for v_author_id in
    select f.followed_id
    from app.follows f
    where f.follower_id = feed_authors.user_id and f.followed_id > after_id
    order by f.followed_id
    limit authors
  loop
    v_authors := v_authors || v_author_id;
    v_posts_left := v_posts_left - app.posts_kept(v_author_id, v_posts_left);
    exit when v_posts_left <= 0;
  end loop;
  return v_authors;
end
$$;

comment on function app.feed_authors(bigint, bigint, bigint, bigint) is
  'A chunk of whom user_id follows, in id order after after_id: at most so many authors, and none beyond those who have so many posts between them';

-- New posts are delivered since the login committed. A chunk brings the older ones of the next
-- authors, up to 64 of them or backfill_chunk_size posts (of the last one, all), under their locks: what it sees is what there was before, what comes after is delivered.
-- The row of feed_states excludes follows and unfollows of this reader meanwhile. A job left over
-- from an earlier return has nothing to say: what it brought then is dropped.
create function app.job_feed_rebuild(args jsonb, progress bigint)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_user_id constant bigint := args ->> 'user_id';
  v_returns constant integer := args ->> 'returns';
  v_from_id bigint;
  v_authors bigint[];
  v_last_id bigint;
begin
  select greatest(s.delivered_from, h.post_id)
    into v_from_id
    from app.feed_states s, app.feed_horizon h
    where s.user_id = v_user_id
      and s.returns = v_returns
      and s.delivered_from < s.complete_from
    for no key update of s;
  if not found then
    return null;
  end if;
  v_authors := app.feed_authors(
    v_user_id, coalesce(progress, 0), 64, app.setting('backfill_chunk_size')
  );
  perform app.author_lock_shared(v_authors);

  insert into app.feed_entries (user_id, post_id)
  select v_user_id, p.id
  from app.follows f
  join app.posts p on p.author_id = f.followed_id
  where f.follower_id = v_user_id
    and f.followed_id = any (v_authors)
    and not p.is_reply
    and p.id >= v_from_id
    and not app.is_pulled(p.author_id, p.id)
  on conflict do nothing;

  v_last_id := v_authors[cardinality(v_authors)];
  if exists (
    select from app.follows f where f.follower_id = v_user_id and f.followed_id > v_last_id
  ) then
    return v_last_id;
  end if;
  update app.feed_states s set complete_from = s.delivered_from where s.user_id = v_user_id;
  return null;
end
$$;

comment on function app.job_feed_rebuild(jsonb, bigint) is
  'Job {user_id, returns}: makes the timeline of somebody who came back. Progress: last author brought in';

-- Their reads come from below the horizon as soon as this commits.
create function app.job_feeds_release(args jsonb, progress bigint)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_batch constant integer := 100;
  v_users bigint[];
begin
  v_users := array(
    select s.user_id
    from app.feed_states s
    where s.active_until < now() and s.delivered_from < 9007199254740992
    order by s.active_until
    limit v_batch
    for update skip locked
  );
  update app.feed_states s
    set delivered_from = 9007199254740992, complete_from = 9007199254740992
    where s.user_id = any (v_users);
  delete from app.feed_entries e where e.user_id = any (v_users);
  return case when cardinality(v_users) = v_batch then coalesce(progress, 0) + v_batch end;
end
$$;

comment on function app.job_feeds_release(jsonb, bigint) is
  'Job: drops the timelines of people not seen for feed_active_time. Progress: how many';

insert into app.job_schedules (kind, every, description) values
  ('feeds_release', interval '10 minutes', 'Drop the timelines of people who have not been seen for long');

commit;
