-- The same 500,000 rows (100 posts to 5,000 readers each) in a table like app.feed_entries and in
-- the one that the reference system's documents propose: post by post, as fan-out writes them.
do $$
declare
  v_post bigint;
begin
  if to_regclass('bench.storage_ours') is not null then
    return;
  end if;
  create table bench.storage_ours (like app.feed_entries including all);
  create table bench.storage_reference (like bench.chunk_entries including all);
  for v_post in
    select p.id
    from (select q.id from app.posts q where not q.is_reply order by q.id desc limit 100) p
    order by p.id
  loop
    insert into bench.storage_ours (user_id, post_id)
    select u.id, v_post
    from (
      select f.follower_id as id
      from app.follows f
      where f.followed_id = (select c.user_id from bench.people c where c.kind = 'crowd')
      order by hashint8(f.follower_id + v_post)
      limit 5000
    ) u
    order by u.id;
    insert into bench.storage_reference (user_id, post_id, author_id, created_at)
    select o.user_id, o.post_id, p.author_id, app.post_created_at(p.id)
    from bench.storage_ours o
    join app.posts p on p.id = o.post_id
    where o.post_id = v_post
    order by o.user_id;
  end loop;
end
$$;
