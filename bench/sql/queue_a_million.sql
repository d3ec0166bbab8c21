-- Two million deliveries for the worker, or 5,000 posts in a network where that is fewer: more
-- than it does in a round, so that a million wait at any moment of it. The worker does not see the
-- queue before this commits.
insert into app.posts (author_id, content)
select c.id, 'One of many.'
from bench.celebrity c
cross join generate_series(
  1,
  (
    select least(5000, 2000000 / count(*) + 1)
    from app.follows f
    join app.feed_states s on s.user_id = f.follower_id and s.delivered_from = 0
    where f.followed_id = (select d.id from bench.celebrity d)
  )
);
