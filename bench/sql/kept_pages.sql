-- Keeps the first page of the timeline of everybody who has a session, once.
do $$
declare
  v_user_id bigint;
begin
  for v_user_id in
    select distinct s.user_id
    from app.sessions s
    where not exists (select from bench.kept_pages k where k.user_id = s.user_id)
  loop
    perform set_config('microblog.user_id', v_user_id::text, true);
    insert into bench.kept_pages (user_id, page)
    select v_user_id, coalesce(json_agg(t), '[]') from api.feed_timeline() t;
  end loop;
end
$$;
