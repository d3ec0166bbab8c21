-- Whether what the proxy is told of five readers with tokens is their page as defined; a row for each
-- that is not, and where nobody has a token.
select 'nobody has a token' where not exists (select from bench.tokens)
union all
select problem
from (
  select p.user_id, t.token
  from bench.tokens t
  join bench.people p on p.kind = 'active' and p.number = t.number
  order by hashint8(p.user_id), p.user_id
  limit 5
) r
cross join lateral (
  select (app.feed_answers(
    array[r.token], '{GET}', '{/rpc/feed_timeline}', array[''], array[''], '{1}', array[''],
    '{127.0.0.1}', '{t}', 60000
  ))[1] as answer offset 0
) a
cross join lateral bench.page_problem(
  'answer', r.user_id, null, false,
  array(
    select (p.post ->> 'id')::bigint
    from json_array_elements(substr(a.answer, strpos(a.answer, chr(10)))::json) as p (post)
  )
) as problem
where problem is not null
