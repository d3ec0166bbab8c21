-- What a page of the Twip mix's rival with row triggers should be: the newest posts older than top, with
-- their texts and authors, by its posts and follows alone; and as many more as came in since the round
-- began.
select p.id, p.content, p.author_id, u.username
from naive.posts p
join naive.users u on u.id = p.author_id
where p.id < %(top)s
  and (
    p.author_id = %(reader)s
    or p.author_id in (select f.followed_id from naive.follows f where f.follower_id = %(reader)s)
  )
order by p.id desc
limit %(rows)s + 1 + (select count(*) from naive.posts n where n.id >= %(begun)s)
