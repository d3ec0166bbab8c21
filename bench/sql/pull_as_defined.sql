-- Whether the reference system's query gives five readers of each kind that a side's scripts draw from
-- what they should get, replies included; a row for each page that is not so, and for a kind that nobody
-- is of.
select 'no kind is drawn from' where cardinality(%(kinds)s::text[]) = 0
union all
select 'nobody is of the kind ' || k.kind
from unnest(%(kinds)s::text[]) as k (kind)
where not exists (select from bench.people p where p.kind = k.kind)
union all
select problem
from (
  select
    p.kind, p.user_id,
    row_number() over (partition by p.kind order by hashint8(p.user_id), p.user_id) as number
  from bench.people p
  where p.kind = any (%(kinds)s)
) r
cross join lateral bench.page_problem(
  'pulled page (' || r.kind || ')', r.user_id, null, true,
  array(select t.id from bench.pull(r.user_id) t order by t.id desc)
) as problem
where r.number <= 5 and problem is not null
