-- Whether the delivery that scripts roll back reaches every active follower; of one author of this size
-- (readers.sql), and a row where there is none.
select 'nobody has about ' || %(followers)s || ' active followers'
where not exists (select from bench.authors a where a.followers = %(followers)s)
union all
select problem
from (
  select a.user_id from bench.authors a where a.followers = %(followers)s order by a.number limit 1
) a
cross join lateral bench.delivery_problem(
  'call bench.fan_out(' || %(followers)s || ', 0)', a.user_id, null, 'app.feed_entries'
) as problem
where problem is not null
