-- Whether each post of this round is in as many timelines as its author has active followers; a row
-- for each that is not. All posts of the made-up author are of this round.
with crowd as (
  select p.id
  from bench.people c
  join app.posts p on p.author_id = c.user_id
  where c.kind = 'crowd'
),
wanted as (
  select count(*) as rows
  from app.follows f
  join app.feed_states s on s.user_id = f.follower_id and s.delivered_from = 0
  where f.followed_id = (select c.user_id from bench.people c where c.kind = 'crowd')
),
there as (
  select e.post_id, count(*) as rows
  from app.feed_entries e
  where e.post_id in (select c.id from crowd c)
    and e.post_id >= (select min(c.id) from crowd c)
  group by e.post_id
)
select 'post ' || c.id || ' is in ' || coalesce(t.rows, 0) || ' timelines of ' || w.rows
from crowd c
cross join wanted w
left join there t on t.post_id = c.id
where coalesce(t.rows, 0) <> w.rows
