-- Keeps the first page of the timeline of each reader of the scenario (people.sql), once.
do $$
declare
  v_user_id bigint;
begin
  for v_user_id in
    select u.id
    from app.users u
    where u.deleted_at is null
    order by hashint8(u.id), u.id
    limit 1000
  loop
    perform set_config('microblog.user_id', v_user_id::text, true);
    insert into bench.kept_pages (user_id, page)
    select v_user_id, coalesce(json_agg(t), '[]') from api.feed_timeline() t
    on conflict do nothing;
  end loop;
end
$$;
