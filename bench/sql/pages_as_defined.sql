-- Whether pages of five readers of each kind that scripts draw from are as defined; a row for each that
-- is not.
select format('page of user %s (%s): %s, not %s', r.user_id, r.kind, a.ids, d.ids)
from (
  select
    p.kind, p.user_id, p.cursor,
    row_number() over (partition by p.kind order by hashint8(p.user_id), p.user_id) as number
  from bench.people p
  where p.kind in ('active', 'any', 'page_50', 'horizon', 'horizon_5000', 'last_5000', 'inactive')
) r
cross join lateral (select bench.page_ids(r.user_id, r.cursor) as ids offset 0) a
cross join lateral (
  select array(
    select t.id
    from bench.timeline(r.user_id) t
    where r.cursor is null or t.id < r.cursor
    order by t.id desc
    limit 20
  ) as ids
) d
where r.number <= 5 and a.ids is distinct from d.ids
