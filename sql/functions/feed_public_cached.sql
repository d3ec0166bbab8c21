-- Deploy microblog:functions/feed_public_cached to pg
-- requires: functions/page
-- requires: functions/view_age
-- requires: schema/post_cards
-- requires: schema/views

begin;
set local role microblog_owner;

-- Written as functions/feed_page explains. A page that runs out of app.public_page goes on with the
-- posts older than everything in it.
create function api.feed_public_cached(cursor text default null, "limit" integer default null)
returns setof app.page_post
language sql
stable
rows 20
begin atomic
  with kept as materialized (
    select v.id, v.content, v.created_at, v.parent_id, v.replies_count, v.author
    from app.public_page v
    where v.id < app.page_top(cursor)
    order by v.id desc
    limit app.page_limit("limit") + 1
  ),
  lacking as materialized (
    select app.page_limit("limit") + 1 - count(*) as rows from kept
  ),
  page as materialized (
    select k.id, k.content, k.created_at, k.parent_id, k.replies_count, k.author from kept k
    union all
    (
      select c.id, c.content, c.created_at, c.parent_id, c.replies_count, c.author
      from app.post_cards c
      where (select l.rows from lacking l) > 0
        and not c.is_reply
        and c.id < least(app.page_top(cursor), (select min(v.id) from app.public_page v))
      order by c.id desc
      limit (select l.rows from lacking l)
    )
  )
  select p.id, p.content, p.created_at, p.parent_id, p.replies_count, p.author
  from page p
  where (
    select app.page_more(array_agg(n.id order by n.id desc), cursor, app.page_limit("limit"))
    from page n
  )
    and (select app.view_age('app.public_page'))
  order by p.id desc
  limit app.page_limit("limit");
end;

comment on function api.feed_public_cached(text, integer) is
$$Everybody's posts, as of a minute ago

As feed_public, at half the cost. What was posted, deleted or answered within the last minute may
not show yet; Age says how many seconds old the newest pages are, Last-Modified of when. limit:
1–100, default 20. X-Next-Cursor and Link: rel="next" are there while more follows.$$;

grant execute on function api.feed_public_cached(text, integer) to anon, member;

commit;
