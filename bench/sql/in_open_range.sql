-- Whether each post of the author with the most followers lies in an open range of app.pull_ranges,
-- which makes it one that all followers read, whoever they are and wherever they stand; a row for each
-- of the newest thousand that does not, and where there is none to prove: nobody is that large.
with posts as (
  select q.id, q.author_id
  from bench.people b
  join app.user_counts c on c.user_id = b.user_id
  join app.posts q on q.author_id = b.user_id and not q.is_reply
  where b.kind = 'largest' and c.followers_count > app.setting('fan_out_pull_limit')
  order by q.id desc
  limit 1000
)
select 'no post of anybody with more than ' || app.setting('fan_out_pull_limit') || ' followers'
where not exists (select from posts)
union all
select 'post ' || p.id || ' of user ' || p.author_id || ' is in no open range'
from posts p
where not exists (
  select
  from app.pull_ranges r
  where r.author_id = p.author_id and r.from_id <= p.id and r.to_id = 9007199254740992
)
