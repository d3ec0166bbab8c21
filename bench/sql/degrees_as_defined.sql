-- Whether pages of the readers who follow 50 authors (ids 2 to 11) and 5,000 (12 to 21) are as defined,
-- of the latter the reference system's as well; a row for each that is not, and for who is not there.
select 'there is no user ' || n.id
from generate_series(2, 21) as n (id)
where not exists (select from app.users u where u.id = n.id)
union all
select problem
from generate_series(2::bigint, 21) as r (user_id)
cross join lateral bench.page_problem(
  'page', r.user_id, null, false, bench.page_ids(r.user_id, null)
) as problem
where problem is not null
union all
select problem
from generate_series(12::bigint, 21) as r (user_id)
cross join lateral bench.page_problem(
  'pulled page', r.user_id, null, true,
  array(select t.id from bench.pull(r.user_id) t order by t.id desc)
) as problem
where problem is not null
