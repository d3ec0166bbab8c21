-- Whether pages of readers of each kind that a side's scripts draw from are as defined; a row for each
-- that is not, and for a kind that nobody is of.
select t.problem
from bench.readers_compared(%(kinds)s) r
cross join lateral coalesce(
  r.problem,
  bench.page_problem(
    'page (' || r.kind || ')', r.user_id, r.cursor, false, bench.page_ids(r.user_id, r.cursor)
  )
) as t (problem)
where t.problem is not null
