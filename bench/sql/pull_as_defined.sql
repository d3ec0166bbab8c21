-- Whether the reference system's query gives readers of each kind that a side's scripts draw from what they
-- should get, replies included; a row for each page that is not so, and for a kind that nobody is of.
select t.problem
from bench.readers_compared(%(kinds)s) r
cross join lateral coalesce(
  r.problem,
  bench.page_problem(
    'pulled page (' || r.kind || ')', r.user_id, null, true,
    array(select t.id from bench.pull(r.user_id) t order by t.id desc)
  )
) as t (problem)
where t.problem is not null
