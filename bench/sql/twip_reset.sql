-- Before and after each round of the Twip mix: this project's tables and those with row triggers hold
-- the follows and posts that they began with. Posts of this project's are deleted by whoever calls.
create table if not exists bench.twip_follows as
select f.follower_id, f.followed_id from app.follows f;

delete from app.follows f
where not exists (
  select
  from bench.twip_follows b
  where b.follower_id = f.follower_id and b.followed_id = f.followed_id
);

do $$
begin
  if to_regclass('naive.posts') is null then
    return;
  end if;
  delete from naive.timeline t where t.post_id > (select b.last_post from naive.beginning b);
  delete from naive.posts p where p.id > (select b.last_post from naive.beginning b);
  with gone as (
    delete from naive.follows f
    where not exists (
      select
      from bench.twip_follows b
      where b.follower_id = f.follower_id and b.followed_id = f.followed_id
    )
    returning f.follower_id, f.followed_id
  )
  delete from naive.timeline t
  using gone g, naive.posts p
  where p.author_id = g.followed_id and t.user_id = g.follower_id and t.post_id = p.id;
  update naive.users u
  set followers_count = b.followers_count, posts_count = b.posts_count
  from naive.users_before b
  where b.id = u.id
    and (u.followers_count, u.posts_count) is distinct from (b.followers_count, b.posts_count);
  truncate naive.sessions;
end
$$;
