-- Deploy microblog:functions/feed_timeline to pg
-- requires: functions/page
-- requires: schema/post_cards
-- requires: schema/feed_entries

begin;
set local role microblog_owner;

-- The hot path. Invoker rights, no SET, language SQL: so the planner inlines it into the statement
-- that PostgREST prepares once per connection.
--
-- Each source is an index scan in the page's own order, cut off at the largest page (a constant,
-- so that the planner knows), and the merge stops after the rows of this page. Posts are joined
-- inside the sources: an entry whose post is gone, and a post whose author is gone, must not count
-- towards the page. A third source, authors too large to fan out, would stand beside the two.
create function api.feed_timeline(cursor text default null, "limit" integer default null)
returns setof app.page_post
language sql
stable
rows 20
begin atomic
  with page as materialized (
    select m.id, m.content, m.created_at, m.parent_id, m.replies_count, m.author
    from (
      (
        select c.id, c.content, c.created_at, c.parent_id, c.replies_count, c.author
        from app.feed_entries e
        join app.post_cards c on c.id = e.post_id
        where e.user_id = app.current_user_id()
          and e.post_id < app.page_top(cursor)
          and c.visible_author_id is not null
        order by e.post_id desc
        limit 101
      )
      union all
      (
        select c.id, c.content, c.created_at, c.parent_id, c.replies_count, c.author
        from app.post_cards c
        where c.author_id = app.current_user_id()
          and not c.is_reply
          and c.id < app.page_top(cursor)
        order by c.id desc
        limit 101
      )
    ) m
    order by m.id desc
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

comment on function api.feed_timeline(text, integer) is
$$One's timeline

Top-level posts of oneself and of everybody one follows, newest first. limit: 1–100, default 20.
X-Next-Cursor and Link: rel="next" are there while more follows.$$;

grant execute on function api.feed_timeline(text, integer) to member;

commit;
