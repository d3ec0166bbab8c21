-- What the counters say of the author whom everybody follows, against a recount; a row for each that
-- is wrong.
select 'followers of user 1: ' || c.followers_count || ' counted, ' || n.count || ' there are'
from app.user_counts c
cross join (select count(*) from app.follows f where f.followed_id = 1) n
where c.user_id = 1 and c.followers_count <> n.count
union all
select 'following of user ' || c.user_id || ': ' || c.following_count || ' counted, ' || n.count || ' there are'
from (select p.user_id from bench.people p where p.kind = 'active' limit 500) p
join app.user_counts c on c.user_id = p.user_id
cross join lateral (select count(*) from app.follows f where f.follower_id = p.user_id) n
where c.following_count <> n.count
