-- Whether the profile that scripts read has the counts that are counted; a row where it has not, and
-- where there is no such user.
select 'profile of user 1: ' || coalesce(u.told, 'none') || ', not ' || coalesce(d.counted, 'any')
from (
  select concat_ws(
    ' ', a.username, a.description,
    (select count(*) from app.follows f where f.followed_id = a.id),
    (select count(*) from app.follows f where f.follower_id = a.id),
    (select count(*) from app.posts p where p.author_id = a.id)
  ) as counted
  from app.users a
  where a.id = 1
) d
full join (
  select concat_ws(
    ' ', v.username, v.description, v.followers_count, v.following_count, v.posts_count
  ) as told
  from api.users v
  where v.id = 1
) u on true
where u.told is distinct from d.counted
union all
select 'there is no user 1' where not exists (select from app.users u where u.id = 1)
