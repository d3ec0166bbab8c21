-- Deploy microblog:functions/feed_public to pg
-- requires: functions/page
-- requires: functions/page_tag
-- requires: schema/post_cards

begin;
set local role microblog_owner;

-- Written as functions/feed_page explains.
create function api.feed_public(cursor text default null, "limit" integer default null)
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
    select t.is_told and app.page_tell_tag(t.tag)
    from (
      select
        app.page_more(array_agg(n.id order by n.id desc), cursor, app.page_limit("limit")) as is_told,
        app.page_tag(
          coalesce(
            string_agg(concat(n.id, ',', n.parent_id, ',', n.replies_count, ',', n.author), ';'), ''
          ),
          null
        ) as tag
      from page n
    ) t
  )
  order by p.id desc
  limit app.page_limit("limit");
end;

comment on function api.feed_public(text, integer) is
$$Everybody's posts

All top-level posts, newest first. limit: 1–100, default 20. X-Next-Cursor and
Link: rel="next" are there while more follows.$$;

grant execute on function api.feed_public(text, integer) to anon, member;

commit;
