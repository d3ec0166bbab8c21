-- Deploy microblog:functions/job_fan_out to pg
-- requires: schema/feed_entries
-- requires: functions/author_lock
-- requires: schema/feed_states

begin;
set local role microblog_owner;

-- One chunk: the next fan_out_chunk_size followers in id order; those who are not active are passed
-- over. Resumes after the last one.
-- A follower who arrives behind the mark has the post from the backfill of their follow; one who
-- arrives ahead of it may have it already. That is rare, and "on conflict do nothing" looks each row
-- up before it inserts it, which costs a third of the whole chunk: so it is tried without first. The
-- activity of the followers is asked for as an array for the same reason, one scan in the order of
-- the keys instead of a look-up started 5,000 times.
--
-- Touches the author's lock, app.posts and app.follows (reads), app.feed_entries (inserts). No row
-- of app.posts is locked: a deletion that has not committed yet has still to come by the author's
-- lock, and then removes what this chunk brought. A row lock taken before the author's lock would
-- deadlock with a request that deletes several posts.
create function app.job_fan_out(args jsonb, progress bigint)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_post_id constant bigint := args ->> 'post_id';
  v_author_id constant bigint := args ->> 'author_id';
  v_chunk_size constant bigint := app.setting('fan_out_chunk_size');
  v_followers bigint[];
begin
  perform app.author_lock(v_author_id);
  if not exists (
    select from app.posts p where p.id = v_post_id and p.author_id = v_author_id
  ) then
    return null;
  end if;

  v_followers := array(
    select f.follower_id
    from app.follows f
    where f.followed_id = v_author_id and f.follower_id > coalesce(job_fan_out.progress, 0)
    order by f.follower_id
    limit v_chunk_size
  );
  if v_post_id >= (select h.post_id from app.feed_horizon h) then
    begin
      insert into app.feed_entries (user_id, post_id)
      select s.user_id, v_post_id
      from app.feed_states s
      where s.user_id = any (v_followers) and s.delivered_from <= v_post_id
      order by s.user_id;
    exception
      when unique_violation then
        insert into app.feed_entries (user_id, post_id)
        select s.user_id, v_post_id
        from app.feed_states s
        where s.user_id = any (v_followers) and s.delivered_from <= v_post_id
        order by s.user_id
        on conflict do nothing;
    end;
  end if;

  return v_followers[v_chunk_size];
end
$$;

comment on function app.job_fan_out(jsonb, bigint) is
  'Job {post_id, author_id}: puts a post into its author''s followers'' timelines. Progress: last follower served';

commit;
