-- Deploy microblog:functions/feed_following to pg
-- requires: functions/page
-- requires: schema/post_cards
-- requires: schema/feed_entries

begin;
set local role microblog_owner;

-- Written as functions/feed_timeline explains.
create function api.feed_following(cursor text default null, "limit" integer default null)
returns setof app.page_post
language sql
stable
rows 20
begin atomic
  with page as materialized (
    select c.id, c.content, c.created_at, c.parent_id, c.replies_count, c.author
    from app.feed_entries e
    join app.post_cards c on c.id = e.post_id
    where e.user_id = app.current_user_id()
      and e.post_id < app.page_top(cursor)
      and c.visible_author_id is not null
    order by e.post_id desc
    limit app.page_limit("limit") + 1
  )
  select p.id, p.content, p.created_at, p.parent_id, p.replies_count, p.author
  from page p
  where (
    select app.page_more(array_agg(n.id order by n.id desc), cursor, app.page_limit("limit"))
    from page n
  )
  order by p.id desc
  limit app.page_limit("limit");
end;

comment on function api.feed_following(text, integer) is
$$Posts of the people one follows

The timeline without one's own posts, newest first. limit: 1–100, default 20. X-Next-Cursor and
Link: rel="next" are there while more follows.$$;

grant execute on function api.feed_following(text, integer) to member;

commit;
