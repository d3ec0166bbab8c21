-- Deploy microblog:functions/feed_timeline_cached to pg
-- requires: functions/page
-- requires: functions/page_tag
-- requires: functions/response_header
-- requires: functions/feed_rows
-- requires: schema/post_cards
-- requires: schema/follows
-- requires: schema/views

begin;
set local role microblog_owner;

-- A view has no row security: nobody may read it, and this gives each their own row.
create function app.inactive_feed()
returns bigint[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_post_ids bigint[];
  v_age bigint;
begin
  select i.post_ids, greatest(0, ceil(extract(epoch from now() - r.refreshed_at)))
    into v_post_ids, v_age
    from app.inactive_feeds i
    join app.view_refreshes r on r.view_name = 'app.inactive_feeds'
    where i.user_id = app.current_user_id();
  if found then
    perform app.response_header('Age', v_age::text);
  end if;
  return v_post_ids;
end
$$;

comment on function app.inactive_feed() is
  'First page of the timeline of app.current_user_id() in app.inactive_feeds, and how old it is, in the header Age; null for whoever is not in it';

grant execute on function app.inactive_feed() to member;

-- Written as functions/feed_page explains. A first page is the one in the view, for whoever is in it,
-- without what was deleted or unfollowed since; what it has too little, and everything else, comes
-- from app.feed_rows, so that it goes on below the view without a gap. "offset 0" keeps that a look-up
-- for each post: else all that somebody follows would be read into a hash table.
create function api.feed_timeline_cached(cursor text default null, "limit" integer default null)
returns setof app.page_post
language sql
stable
rows 20
begin atomic
  with kept as materialized (
    select app.inactive_feed() as post_ids where coalesce(cursor, '') = ''
  ),
  from_view as materialized (
    select c.id, c.content, c.created_at, c.parent_id, c.replies_count, c.author
    from kept k
    cross join lateral unnest(k.post_ids) i (id)
    join app.post_cards c on c.id = i.id
    where c.visible_author_id = app.current_user_id()
      or exists (
        select
        from app.follows f
        where f.follower_id = app.current_user_id() and f.followed_id = c.visible_author_id
        offset 0
      )
    order by c.id desc
    limit app.page_limit("limit") + 1
  ),
  page as materialized (
    select n.id, n.content, n.created_at, n.parent_id, n.replies_count, n.author
    from (
      select f.id, f.content, f.created_at, f.parent_id, f.replies_count, f.author
      from from_view f
      union all
      select c.id, c.content, c.created_at, c.parent_id, c.replies_count, c.author
      from app.feed_rows(
        coalesce((select k.post_ids[cardinality(k.post_ids)]::text from kept k), cursor),
        "limit",
        true
      ) r
      join app.post_cards c on c.id = r.id
      where (select count(*) from from_view f) <= app.page_limit("limit")
        and not exists (select from app.feed_entries e where false)
    ) n
    order by n.id desc
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
            string_agg(concat(n.id, ',', n.replies_count, ',', n.author), ';'), ''
          ),
          app.current_user_id()
        ) as tag
      from page n
    ) t
  )
  order by p.id desc
  limit app.page_limit("limit");
end;

comment on function api.feed_timeline_cached(text, integer) is
$$One's timeline, which may be some minutes old

As feed_timeline. For somebody who was away for long the first page may be as of some minutes ago:
Age says how many seconds, and is missing where the page is exact. What was deleted or unfollowed is
gone in any case. limit: 1–100, default 20. X-Next-Cursor and Link: rel="next" are there while more
follows.$$;

grant execute on function api.feed_timeline_cached(text, integer) to member;

commit;
