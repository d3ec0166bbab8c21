-- Whether two hundred of the posts since a round began are in the timeline of every active follower,
-- and, of twenty of them, pages, entries and counters of the author and of one follower are as defined;
-- a row for each that is not, and where nothing was posted. The queue is empty by then. Who reads the
-- author's posts instead of being given them needs no entry: their pages are among those looked at.
with written as materialized (
  select p.id, p.author_id, row_number() over (order by hashint8(p.id), p.id) as number
  from app.posts p
  where p.id >= %(begun)s and not p.is_reply
  order by number
  limit 200
),
people as materialized (
  select w.author_id as user_id from written w where w.number <= 20
  union
  select f.follower_id
  from written w
  cross join lateral (
    select o.follower_id
    from app.follows o
    where o.followed_id = w.author_id
    order by hashint8(o.follower_id + w.id)
    limit 1
  ) f
  where w.number <= 20
)
select 'nothing was posted' where not exists (select from written)
union all
select 'post ' || w.id || ' is not in the timelines of ' || count(*) || ' followers'
from written w
join app.follows f on f.followed_id = w.author_id
join app.feed_states s on s.user_id = f.follower_id and s.delivered_from <= w.id
where not app.is_pulled(w.author_id, w.id)
  and not exists (
    select from app.feed_entries e where e.user_id = f.follower_id and e.post_id = w.id
  )
group by w.id
union all
select problem
from people r
cross join lateral bench.page_problem(
  'page', r.user_id, null, false, bench.page_ids(r.user_id, null)
) as problem
where problem is not null
union all
select concat_ws(' ', 'user', d.user_id, 'has', d.problem, 'post ' || d.post_id)
from dba.drift_sample(array(select r.user_id from people r)) d
