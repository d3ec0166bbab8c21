-- People of each kind that benchmarks want, chosen once and the same for the same data. Run after
-- objects.sql, which makes the table.
--
--   active        timeline kept, a full first page; no more than 100 followers
--   any           timeline kept, whatever is in it, and however many followers
--   page_50       the same, and as many posts as 50 pages take; cursor: where page 49 ended
--   inactive      timeline not kept: a page is gathered from follows and posts
--   horizon       timeline kept in its newest part only; cursor: where that part ends
--   horizon_5000  made-up users who follow 5,000 authors, or all there are; cursor: the same
--   last_5000     the same users; cursor: their last page comes after it
--   ten           authors with about 10 followers, whose posts are delivered in the posting call
--   hundred_fifty authors with about 150 followers, whose posts are delivered by a job
--   five_thousand the ten authors nearest to 5,000 followers
--   largest       the author with the most followers
--   crowd         a made-up author followed by 100,000 active users, or all there are

do $$
declare
  v_crowd bigint;
  v_followers bigint;
  v_inactive bigint;
begin
  if exists (select from bench.people) then
    return;
  end if;

  -- Where everybody is active, some become inactive, as if they had not logged in for a week.
  create temporary table picked on commit drop as
  select u.id
  from app.users u
  join app.feed_states s on s.user_id = u.id
  where u.id > 21 and s.complete_from = 9007199254740992
  order by hashint8(u.id), u.id
  limit 4000;
  select count(*) into v_inactive from picked;
  if v_inactive < 100 then
    insert into picked
    select u.id
    from app.users u
    join app.feed_states s on s.user_id = u.id
    where u.id > 21 and s.complete_from = 0
    order by hashint8(u.id), u.id
    limit (select count(*) / 20 from app.users);
    update app.feed_states s
    set
      delivered_from = 9007199254740992,
      complete_from = 9007199254740992,
      active_until = now() - interval '1 day'
    from picked p
    where s.user_id = p.id and s.complete_from = 0;
    delete from app.feed_entries e using picked p where e.user_id = p.id;
  end if;
  insert into bench.people (kind, number, user_id)
  select 'inactive', row_number() over (order by hashint8(p.id), p.id), p.id
  from picked p
  where bench.timeline_length(p.id, 20) = 20
  order by 2
  limit 1000;

  insert into bench.people (kind, number, user_id)
  select 'active', row_number() over (order by hashint8(a.id), a.id), a.id
  from (
    select u.id
    from app.users u
    join app.feed_states s on s.user_id = u.id and s.complete_from = 0
    join app.user_counters c on c.user_id = u.id and c.followers_count <= 100
    where u.id > 21
    order by hashint8(u.id), u.id
    limit 10000
  ) a
  where bench.timeline_length(a.id, 20) = 20
  order by 2
  limit 3000;

  -- Of those who follow the most.
  insert into bench.people (kind, number, user_id, cursor)
  select 'page_50', row_number() over (order by d.user_id), d.user_id, page.id
  from (
    select c.user_id
    from app.user_counters c
    join app.feed_states s on s.user_id = c.user_id and s.complete_from = 0
    order by c.following_count desc, c.user_id
    limit 100
  ) d
  cross join lateral (
    select t.id from bench.timeline(d.user_id) t order by t.id desc offset 979 limit 1
  ) page
  where bench.timeline_length(d.user_id, 1000) = 1000;

  insert into bench.people (kind, number, user_id, cursor)
  select 'horizon', row_number() over (order by a.number), a.user_id, page.id
  from (
    select p.number, p.user_id
    from bench.people p
    where p.kind = 'active' and bench.timeline_length(p.user_id, 40) = 40
    order by p.number desc
    limit (select least(200, count(*) / 10) from bench.people q where q.kind = 'active')
  ) a
  cross join lateral (
    select t.id from bench.timeline(a.user_id) t order by t.id desc offset 19 limit 1
  ) page;
  delete from bench.people p
  using bench.people h
  where h.kind = 'horizon' and p.kind = 'active' and p.user_id = h.user_id;
  update app.feed_states s
  set complete_from = p.cursor
  from bench.people p
  where p.kind = 'horizon' and s.user_id = p.user_id;
  -- The numbers of a kind have no gaps: scripts draw among them.
  update bench.people p
  set number = -n.number
  from (
    select q.user_id, row_number() over (order by q.number) as number
    from bench.people q
    where q.kind = 'active'
  ) n
  where p.kind = 'active' and p.user_id = n.user_id;
  update bench.people p set number = -p.number where p.number < 0;

  insert into bench.people (kind, number, user_id)
  select 'ten', row_number() over (order by n.distance, n.user_id), n.user_id
  from (
    select c.user_id, abs(c.followers_count - 10) as distance
    from app.user_counters c
    where c.followers_count between 5 and 20
    order by 2, hashint8(c.user_id)
    limit 200
  ) n;

  insert into bench.people (kind, number, user_id)
  select 'five_thousand', row_number() over (order by n.distance, n.user_id), n.user_id
  from (
    select c.user_id, abs(c.followers_count - 5000) as distance
    from app.user_counters c
    where c.followers_count <= (
      select s.value from app.settings s where s.name = 'fan_out_push_limit'
    )
    order by 2, c.user_id
    limit 10
  ) n;

  insert into bench.people (kind, number, user_id)
  select 'largest', 1, c.user_id
  from app.user_counters c
  order by c.followers_count desc, c.user_id
  limit 1;

  set local session_replication_role = replica;
  insert into app.users (username) values ('bench_crowd') returning id into v_crowd;
  insert into app.feed_states (user_id) values (v_crowd);
  insert into app.follows (follower_id, followed_id)
  select s.user_id, v_crowd
  from app.feed_states s
  where s.complete_from = 0 and s.user_id <> v_crowd
  order by hashint8(s.user_id), s.user_id
  limit 100000;
  get diagnostics v_followers = row_count;
  insert into app.user_counters (user_id, followers_count) values (v_crowd, v_followers);
  update app.user_counters c
  set following_count = c.following_count + 1
  from app.follows f
  where f.followed_id = v_crowd and c.user_id = f.follower_id;
  set local session_replication_role = origin;
  insert into bench.people (kind, number, user_id) values ('crowd', 1, v_crowd);
end
$$;

-- Readers of 5,000 authors of whom the first page is kept, and nothing below it.
do $$
declare
  v_id bigint;
begin
  if exists (select from bench.people p where p.kind = 'horizon_5000') then
    return;
  end if;

  set local session_replication_role = replica;
  for v_number in 1 .. 10 loop
    insert into app.users (username) values ('bench_reader_' || v_number) returning id into v_id;
    insert into app.follows (follower_id, followed_id)
    select v_id, f.user_id
    from (
      select p.author_id as user_id
      from (select distinct q.author_id from app.posts q where not q.is_reply) p
      where p.author_id is not null
      order by hashint8(p.author_id + v_number), p.author_id
      limit 5000
    ) f;
    insert into app.user_counters (user_id, following_count)
    select v_id, count(*) from app.follows f where f.follower_id = v_id;
    update app.user_counters c
    set followers_count = c.followers_count + 1
    from app.follows f
    where f.follower_id = v_id and c.user_id = f.followed_id;
    insert into app.feed_states (user_id, delivered_from, complete_from)
    select v_id, t.id, t.id from bench.timeline(v_id) t order by t.id desc offset 19 limit 1;
    insert into app.feed_entries (user_id, post_id)
    select v_id, t.id
    from bench.timeline(v_id) t
    join app.feed_states s on s.user_id = v_id and t.id >= s.complete_from
    where not app.is_pulled(t.author_id, t.id);
    insert into bench.people (kind, number, user_id, cursor)
    select 'horizon_5000', v_number, s.user_id, s.complete_from
    from app.feed_states s
    where s.user_id = v_id
    union all
    (select 'last_5000', v_number, v_id, t.id from bench.timeline(v_id) t order by t.id offset 20 limit 1);
  end loop;
end
$$;

do $$
begin
  if exists (select from bench.people p where p.kind = 'any') then
    return;
  end if;

  insert into bench.people (kind, number, user_id)
  select 'any', row_number() over (order by hashint8(a.user_id), a.user_id), a.user_id
  from (
    select s.user_id
    from app.feed_states s
    where s.complete_from = 0
      and s.user_id not in (select p.user_id from bench.people p where p.kind = 'crowd')
    order by hashint8(s.user_id), s.user_id
    limit 3000
  ) a;

  insert into bench.people (kind, number, user_id)
  select 'hundred_fifty', row_number() over (order by n.distance, n.user_id), n.user_id
  from (
    select c.user_id, abs(c.followers_count - 150) as distance
    from app.user_counters c
    where c.followers_count between 1 + app.setting('fan_out_sync_limit') and 200
    order by 2, hashint8(c.user_id)
    limit 40
  ) n;
end
$$;

vacuum (analyze) bench.people, app.user_counters, app.feed_states;
