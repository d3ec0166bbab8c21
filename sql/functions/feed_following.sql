-- Deploy microblog:functions/feed_following to pg
-- requires: functions/feed_page

begin;
set local role microblog_owner;

create function api.feed_following(cursor text default null, "limit" integer default null)
returns setof app.page_post
language sql
stable
rows 20
begin atomic
  select p.id, p.content, p.created_at, p.parent_id, p.replies_count, p.author
  from app.feed_page(cursor, "limit", false) p;
end;

comment on function api.feed_following(text, integer) is
$$Posts of the people one follows

The timeline without one's own posts, newest first. limit: 1–100, default 20. X-Next-Cursor and
Link: rel="next" are there while more follows.$$;

grant execute on function api.feed_following(text, integer) to member;

commit;
