-- Whether pages of twenty of so many readers, drawn as timeline_everybody.sql does, are as defined; a
-- row for each that is not, and where there is no reader.
select 'no timeline is kept' where bench.reader_from(1) is null
union all
select problem
from (
  select distinct bench.reader_from(1 + d.number * d.users / d.readers) as user_id
  from (
    select s.number, u.users, least(%(readers)s, u.users) as readers
    from (select max(id) as users from app.users) u
    cross join lateral (
      select n.number
      from generate_series(0, least(%(readers)s, u.users) - 1) as n (number)
      order by hashint8(n.number), n.number
      limit 20
    ) s
  ) d
) r
cross join lateral bench.page_problem(
  'page', r.user_id, null, false, bench.page_ids(r.user_id, null)
) as problem
where r.user_id is not null and problem is not null
