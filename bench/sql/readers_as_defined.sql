-- Whether pages of the first ten readers of this many follows (readers.sql) are as defined; a row for each
-- that is not, and where there is no reader.
select 'nobody follows about ' || %(follows)s
where not exists (select from bench.readers r where r.follows = %(follows)s)
union all
select problem
from (
  select distinct q.user_id from bench.readers q where q.follows = %(follows)s and q.number <= 10
) r
cross join lateral bench.page_problem(
  'page', r.user_id, null, false, bench.page_ids(r.user_id, null)
) as problem
where problem is not null
