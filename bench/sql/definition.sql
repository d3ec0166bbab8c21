-- What a timeline is, with nothing of how it is kept: the newest page_size + 1 ids older than top.
select p.id
from app.posts p
where not p.is_reply
  and p.id < %(top)s
  and (
    p.author_id = %(reader)s
    or p.author_id in (select f.followed_id from app.follows f where f.follower_id = %(reader)s)
  )
order by p.id desc
limit %(rows)s
