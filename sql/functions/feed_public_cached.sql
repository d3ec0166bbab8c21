-- Deploy microblog:functions/feed_public_cached to pg
-- requires: functions/page
-- requires: functions/cache
-- requires: schema/post_cards
-- requires: schema/views

begin;
set local role microblog_owner;

-- feed_public, for the proxy to keep. Written as functions/feed_page explains. Which posts there are
-- comes from the view, what they show, and whether they are still there, from their rows. Below the
-- view, where it is empty, and with a token the page is exact. "offset 0" keeps that a look-up for
-- each post of the view: merged with all posts, it would read those that came since, however many.
-- The constant limit 101, the largest page and one more, says that few rows are wanted.
create function api.feed_public_cached(cursor text default null, "limit" integer default null)
returns setof app.page_post
language sql
stable
rows 20
begin atomic
  with page as materialized (
    select n.id, n.content, n.created_at, n.parent_id, n.replies_count, n.author
    from (
      (
        select v.post_id as id, c.content, c.created_at, c.parent_id, c.replies_count, c.author
        from app.public_page v
        cross join lateral (
          select p.content, p.created_at, p.parent_id, p.replies_count, p.author
          from app.post_cards p
          where p.id = v.post_id
          offset 0
        ) c
        where v.post_id < app.page_top(cursor) and app.current_user_id() is null
        order by v.post_id desc
        limit 101
      )
      union all
      (
        select c.id, c.content, c.created_at, c.parent_id, c.replies_count, c.author
        from app.post_cards c
        where not c.is_reply
          and c.id < app.page_top(cursor)
          and c.id < coalesce(
            (select min(v.post_id) from app.public_page v where app.current_user_id() is null),
            9007199254740992
          )
        order by c.id desc
        limit 101
      )
    ) n
    order by n.id desc
    limit app.page_limit("limit") + 1
  )
  select p.id, p.content, p.created_at, p.parent_id, p.replies_count, p.author
  from page p
  where (
    select app.page_more(array_agg(n.id order by n.id desc), cursor, app.page_limit("limit"))
    from page n
  )
    and (
      select app.current_user_id() is not null
        or app.cache_shared(
          '/rpc/feed_public_cached',
          (select min(v.post_id) from app.public_page v) < app.page_top(cursor)
        )
    )
  order by p.id desc
  limit app.page_limit("limit");
end;

comment on function api.feed_public_cached(text, integer) is
$$Everybody's posts, as of a minute ago

As feed_public, shared between all who send no token, so that most answers cost the database nothing.
What was posted or answered within the last minute may not show yet; what was deleted is gone. Age
says how many seconds old the page is; the older pages are made anew. limit: 1–100, default 20.
X-Next-Cursor and Link: rel="next" are there while more follows.$$;

grant execute on function api.feed_public_cached(text, integer) to anon, member;

commit;
