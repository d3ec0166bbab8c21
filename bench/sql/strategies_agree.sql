-- Whether twenty readers' pages are as defined, whichever the strategy; a row for each that is not.
select a.strategy || ' of user ' || r.user_id || ': ' || a.ids::text || ', not ' || d.ids::text
from (select s.user_id from bench.sample s order by hashint8(s.user_id), s.user_id limit 20) r
cross join lateral (
  select array(select t.id from bench.timeline(r.user_id) t order by t.id desc limit 20) as ids
) d
cross join lateral (
  select 'hybrid' as strategy, array(
    select (p.post ->> 'id')::bigint
    from json_array_elements(bench.check_page(r.user_id)::json) as p (post)
  ) as ids
  union all
  select 'pull', array(select t.id from bench.timeline_pull(r.user_id) t)
  union all
  select 'push', array(select t.id from bench.timeline_push(r.user_id) t)
  union all
  select 'view', array(select t.id from bench.timeline_view(r.user_id) t)
) a
where a.ids <> d.ids
