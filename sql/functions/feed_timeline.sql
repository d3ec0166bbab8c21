-- Deploy microblog:functions/feed_timeline to pg
-- requires: functions/feed_page

begin;
set local role microblog_owner;

create function api.feed_timeline(cursor text default null, "limit" integer default null)
returns setof app.page_post
language sql
stable
rows 20
begin atomic
  select p.id, p.content, p.created_at, p.parent_id, p.replies_count, p.author
  from app.feed_page(cursor, "limit", true) p;
end;

comment on function api.feed_timeline(text, integer) is
$$One's timeline

Top-level posts of oneself and of everybody one follows, newest first. limit: 1–100, default 20.
X-Next-Cursor and Link: rel="next" are there while more follows.$$;

grant execute on function api.feed_timeline(text, integer) to member;

commit;
