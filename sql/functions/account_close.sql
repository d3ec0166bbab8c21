-- Deploy microblog:functions/account_close to pg
-- requires: triggers/users_lifecycle
-- requires: functions/job_work
-- requires: functions/author_lock
-- requires: functions/job_feeds

begin;
set local role microblog_owner;

-- A small account goes within the request. A large one is marked as deleted, which hides it from
-- every request role (row security on app.users), its name is free and its sessions are dead;
-- a job then removes follows, posts' authorship and the row itself in bounded chunks.
create function app.account_close(user_id bigint)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_size bigint;
begin
  perform from app.users u where u.id = account_close.user_id for update;
  select c.followers_count + c.following_count + c.posts_count
    into v_size
    from app.user_counts c
    where c.user_id = account_close.user_id;

  if v_size <= app.setting('account_purge_sync_limit') then
    delete from app.users u where u.id = account_close.user_id;
  else
    update app.users u set deleted_at = now() where u.id = account_close.user_id;
    delete from app.credentials c where c.user_id = account_close.user_id;
    delete from app.sessions s where s.user_id = account_close.user_id;
    perform app.job_add('account_purge', jsonb_build_object('user_id', account_close.user_id));
  end if;
end
$$;

comment on function app.account_close(bigint) is 'Deletes an account: at once, or hidden at once and removed by a job';

create function app.job_account_purge(args jsonb, progress bigint)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_user_id constant bigint := args ->> 'user_id';
  v_chunk_size constant bigint := app.setting('fan_out_chunk_size');
  -- A follow that goes takes an entry for each post with it (2.6 µs each).
  v_entries constant bigint := 10 * v_chunk_size;
  v_authors bigint[];
  v_rows bigint;
  v_posts bigint[];
begin
  delete from app.follows f
    using (
      select x.follower_id
      from app.follows x
      where x.followed_id = v_user_id
      order by x.follower_id
      limit least(
        v_chunk_size, v_entries / greatest(app.posts_kept(v_user_id, v_entries), 1)
      )
      for update
    ) x
    where f.follower_id = x.follower_id and f.followed_id = v_user_id;
  get diagnostics v_rows = row_count;
  if v_rows > 0 then
    return coalesce(progress, 0) + v_rows;
  end if;

  -- From 1,001 on app.author_lock_shared would hold up every author there is.
  v_authors := app.feed_authors(v_user_id, 0, least(v_chunk_size, 1000), v_entries);
  delete from app.follows f
    using (
      select x.followed_id
      from app.follows x
      where x.follower_id = v_user_id and x.followed_id = any (v_authors)
      order by x.followed_id
      for update
    ) x
    where f.follower_id = v_user_id and f.followed_id = x.followed_id;
  get diagnostics v_rows = row_count;
  if v_rows > 0 then
    return coalesce(progress, 0) + v_rows;
  end if;

  v_posts := array(
    select p.id
    from app.posts p
    where p.author_id = v_user_id
    order by p.id
    limit v_chunk_size
    for no key update
  );
  if cardinality(v_posts) > 0 then
    -- A follow in flight when the account was closed may have brought posts since the followers
    -- were removed. It goes while the posts still name their author, who is the way to its entries.
    perform app.author_lock(v_user_id);
    if not exists (select from app.follows f where f.followed_id = v_user_id) then
      update app.posts p set author_id = null where p.id = any (v_posts);
    end if;
    return coalesce(progress, 0) + cardinality(v_posts);
  end if;

  delete from app.users u where u.id = v_user_id;
  return null;
end
$$;

comment on function app.job_account_purge(jsonb, bigint) is
  'Job {user_id}: removes what is left of a deleted account. Progress: rows removed';

commit;
