-- Whether pages of five readers of each kind that a side's scripts draw from are as defined; a row for
-- each that is not, and for a kind that nobody is of.
select 'no kind is drawn from' where cardinality(%(kinds)s::text[]) = 0
union all
select 'nobody is of the kind ' || k.kind
from unnest(%(kinds)s::text[]) as k (kind)
where not exists (select from bench.people p where p.kind = k.kind)
union all
select problem
from (
  select
    p.kind, p.user_id, p.cursor,
    row_number() over (partition by p.kind order by hashint8(p.user_id), p.user_id) as number
  from bench.people p
  where p.kind = any (%(kinds)s)
) r
cross join lateral bench.page_problem(
  'page (' || r.kind || ')', r.user_id, r.cursor, false, bench.page_ids(r.user_id, r.cursor)
) as problem
where r.number <= 5 and problem is not null
