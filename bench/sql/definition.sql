-- What a page is, with nothing of how it is kept: the newest posts older than top, with their texts and
-- authors. A timeline, the same without one's own, with replies (as the reference system's query has
-- them), everybody's, or all posts of one author.
select p.id, p.content, p.author_id, u.username::text
from app.posts p
left join app.users u on u.id = p.author_id
where p.id < %(top)s
  and case %(kind)s::text
    when 'public' then not p.is_reply
    when 'author' then p.author_id = %(reader)s
    when 'following' then not p.is_reply
      and p.author_id in (select f.followed_id from app.follows f where f.follower_id = %(reader)s)
    else (%(kind)s::text = 'pull' or not p.is_reply)
      and (
        p.author_id = %(reader)s
        or p.author_id in (select f.followed_id from app.follows f where f.follower_id = %(reader)s)
      )
  end
order by p.id desc
limit %(rows)s
