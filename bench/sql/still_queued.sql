-- Whether a million deliveries of the author whose posts fill the queue (queue_a_million.sql) still
-- wait, or half of all in a network where that is fewer; a row if not.
select q.waiting || ' deliveries of ' || q.needed || ' were still queued'
from (
  select
    coalesce(
      sum(case when j.progress is null then a.active else w.left_over end) filter (where j.id > 0), 0
    ) as waiting,
    least(1000000, 2500 * max(a.active)) as needed
  from bench.celebrity b
  cross join lateral (
    select count(*) as active
    from app.follows f
    join app.feed_states s on s.user_id = f.follower_id and s.delivered_from = 0
    where f.followed_id = b.id
  ) a
  left join app.jobs j
    on j.kind = 'fan_out' and j.state = 'queued' and j.args ->> 'author_id' = b.id::text
  left join lateral (
    select count(*) as left_over
    from app.follows f
    join app.feed_states s on s.user_id = f.follower_id and s.delivered_from = 0
    where j.progress is not null and f.followed_id = b.id and f.follower_id > j.progress
  ) w on true
) q
where q.waiting < q.needed
