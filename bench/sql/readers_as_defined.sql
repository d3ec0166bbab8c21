-- Whether pages of the readers of this many follows (readers.sql) are as defined; a row for each that is
-- not, and where there is no reader.
select 'nobody follows about ' || %(follows)s
where not exists (select from bench.readers r where r.follows = %(follows)s)
union all
select problem
from bench.readers r
cross join lateral bench.page_problem(
  'page', r.user_id, null, false, bench.page_ids(r.user_id, null)
) as problem
where r.follows = %(follows)s and problem is not null
