-- A profile, with counts that were counted.
select
  u.id,
  u.username::text,
  u.description,
  (select count(*) from app.follows f where f.followed_id = u.id) as followers_count,
  (select count(*) from app.follows f where f.follower_id = u.id) as following_count,
  (select count(*) from app.posts p where p.author_id = u.id) as posts_count
from app.users u
where u.id = %(user)s
