-- What the counters say of everybody in bench.pairs, against a recount, and whether each of its follows
-- is there again; a row for each that is wrong.
select 'followers of user ' || c.user_id || ': ' || c.followers_count || ' counted, ' || n.count || ' there are'
from (select distinct p.followed_id from bench.pairs p) p
join app.user_counts c on c.user_id = p.followed_id
cross join lateral (select count(*) from app.follows f where f.followed_id = c.user_id) n
where c.followers_count <> n.count
union all
select 'following of user ' || c.user_id || ': ' || c.following_count || ' counted, ' || n.count || ' there are'
from (select distinct p.follower_id from bench.pairs p) p
join app.user_counts c on c.user_id = p.follower_id
cross join lateral (select count(*) from app.follows f where f.follower_id = c.user_id) n
where c.following_count <> n.count
union all
select 'user ' || p.follower_id || ' no longer follows user ' || p.followed_id
from bench.pairs p
where not exists (
  select from app.follows f where f.follower_id = p.follower_id and f.followed_id = p.followed_id
)
