-- Deploy microblog:functions/feed_public_cached to pg
-- requires: functions/page
-- requires: functions/cache
-- requires: schema/post_cards

begin;
set local role microblog_owner;

-- feed_public, for the proxy to keep. Written as functions/feed_page explains.
create function api.feed_public_cached(cursor text default null, "limit" integer default null)
returns setof app.page_post
language sql
stable
rows 20
begin atomic
  with page as materialized (
    select c.id, c.content, c.created_at, c.parent_id, c.replies_count, c.author
    from app.post_cards c
    where not c.is_reply and c.id < app.page_top(cursor)
    order by c.id desc
    limit app.page_limit("limit") + 1
  )
  select p.id, p.content, p.created_at, p.parent_id, p.replies_count, p.author
  from page p
  where (
    select app.page_more(array_agg(n.id order by n.id desc), cursor, app.page_limit("limit"))
    from page n
  )
    and (select app.cache_shared('/rpc/feed_public_cached'))
  order by p.id desc
  limit app.page_limit("limit");
end;

comment on function api.feed_public_cached(text, integer) is
$$Everybody's posts, as of a minute ago

As feed_public, shared between all who send no token, so that most answers cost the database nothing.
What was posted or answered within the last minute may not show yet; what was deleted is gone. Age
says how many seconds old the page is. limit: 1–100, default 20. X-Next-Cursor and Link: rel="next"
are there while more follows.$$;

grant execute on function api.feed_public_cached(text, integer) to anon, member;

commit;
