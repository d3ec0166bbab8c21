-- Whether the chunk that scripts roll back is all of its rows: see bench.delivery_problem.
select problem
from bench.people p
cross join lateral bench.delivery_problem(
  'call bench.chunk_reference()', p.user_id, 5000, 'bench.chunk_entries'
) as problem
where p.kind = 'crowd' and problem is not null
union all
select 'nobody is of the kind crowd' where not exists (select from bench.people p where p.kind = 'crowd')
