-- Keeps the first page of the timeline of each reader of the scenario (people.sql).
do $$
declare
  v_user_id bigint;
begin
  for v_user_id in
    select p.user_id
    from bench.people p
    where p.kind = 'active'
    order by hashint8(p.user_id), p.user_id
    limit 1000
  loop
    perform set_config('microblog.user_id', v_user_id::text, true);
    insert into bench.kept_pages (user_id, page)
    select v_user_id, coalesce(json_agg(t), '[]') from api.feed_timeline() t
    on conflict (user_id) do update set page = excluded.page;
  end loop;
end
$$;
