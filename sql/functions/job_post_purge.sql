-- Deploy microblog:functions/job_post_purge to pg
-- requires: schema/feed_entries
-- requires: functions/author_lock

begin;
set local role microblog_owner;

-- Walks the followers as fan-out does. One who unfollows meanwhile cleans up behind themselves;
-- one who follows meanwhile never gets the post, which is gone from app.posts.
create function app.job_post_purge(args jsonb, progress bigint)
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
  v_last_id bigint;
  v_size bigint;
begin
  perform app.author_lock(v_author_id);

  with chunk as materialized (
    select f.follower_id
    from app.follows f
    where f.followed_id = v_author_id and f.follower_id > coalesce(job_post_purge.progress, 0)
    order by f.follower_id
    limit v_chunk_size
  ),
  removed as (
    delete from app.feed_entries e
    using chunk c
    where e.user_id = c.follower_id and e.post_id = v_post_id
  )
  select max(c.follower_id), count(*) into v_last_id, v_size from chunk c;

  return case when v_size = v_chunk_size then v_last_id end;
end
$$;

comment on function app.job_post_purge(jsonb, bigint) is
  'Job {post_id, author_id}: removes a deleted post from timelines, where it is hidden already. Progress: last follower served';

commit;
