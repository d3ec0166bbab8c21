-- Deploy microblog:functions/feed_following to pg
-- requires: functions/feed_page
-- requires: functions/page_tag

begin;
set local role microblog_owner;

create function api.feed_following(cursor text default null, "limit" integer default null)
returns setof app.page_post
language sql
stable
rows 20
begin atomic
  with page as materialized (
    select p.id, p.content, p.created_at, p.parent_id, p.replies_count, p.author
    from app.feed_page(cursor, "limit", false) p
  )
  select p.id, p.content, p.created_at, p.parent_id, p.replies_count, p.author
  from page p
  where (
    select app.page_validate(string_agg(
      app.page_tag_row(n.id, n.parent_id, n.replies_count, n.author), ';' order by n.id desc
    ))
    from page n
  )
  order by p.id desc;
end;

comment on function api.feed_following(text, integer) is
$$Posts of the people one follows

The timeline without one's own posts, newest first. limit: 1–100, default 20. X-Next-Cursor and
Link: rel="next" are there while more follows.$$;

grant execute on function api.feed_following(text, integer) to member;

commit;
