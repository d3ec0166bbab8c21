-- Fills an empty database for the benchmarks: 20,000 users, about 1,000,000 follows, 60,000 posts
-- of the last 14 days, and the feeds as the definition says. The same on every machine (setseed).
-- Triggers are off while it loads; feeds and counters are computed afterwards, set by set.

begin;

select setseed(0.42);
set local session_replication_role = replica;

insert into app.users (username)
select 'user_' || n from generate_series(1, 20000) n;

-- Squaring skews who is followed: low ids are popular.
insert into app.follows (follower_id, followed_id)
select x.follower_id, x.followed_id
from (
  select distinct
    1 + floor(random() * 20000)::bigint as follower_id,
    1 + floor(power(random(), 2) * 20000)::bigint as followed_id
  from generate_series(1, 1050000)
) x
where x.follower_id <> x.followed_id;

insert into app.posts (id, author_id, content)
select
  app.post_id_at(now() - n * interval '20 seconds') + n % 4096,
  1 + floor(random() * 20000)::bigint,
  'Post number ' || n || ' says ' || repeat('something or other ', 1 + n % 8) || 'and ends.'
from generate_series(1, 60000) n;

insert into app.feed_states (user_id)
select u.id from app.users u;

insert into app.user_counters (user_id, followers_count, following_count, posts_count)
select u.id, coalesce(fr.n, 0), coalesce(fg.n, 0), coalesce(p.n, 0)
from app.users u
left join (select f.followed_id as id, count(*) as n from app.follows f group by 1) fr using (id)
left join (select f.follower_id as id, count(*) as n from app.follows f group by 1) fg using (id)
left join (select p.author_id as id, count(*) as n from app.posts p group by 1) p using (id);

insert into app.feed_entries (user_id, post_id)
select f.follower_id, p.id
from app.posts p
join app.follows f on f.followed_id = p.author_id;

commit;

vacuum (analyze);
