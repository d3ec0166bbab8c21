-- Deploy microblog:functions/feed_page to pg
-- requires: functions/page
-- requires: schema/post_cards
-- requires: schema/feed_entries
-- requires: schema/feed_states
-- requires: schema/follows
-- requires: functions/feed_below

begin;
set local role microblog_owner;

-- The hot path. Invoker rights, no SET, language SQL: so the planner inlines it into the statement
-- that PostgREST prepares once per connection.
--
-- From the top: what was pushed, what one posted oneself, what large authors posted; each an index
-- scan in the page's own order. Posts are joined inside each source: an entry whose post is gone,
-- and a post whose author is gone (row security hides the account), must not count towards the
-- page. The constant limit 101, the largest page and one more, tells the planner that a source is
-- read in order and for a few rows only; of what was pushed the horizon is checked outside, because
-- a range with two ends would make it expect next to nothing, read it whole and sort. Only where
-- all this ends before the page is full, app.feed_below is asked for the rest.
create function app.feed_page(cursor text, "limit" integer, with_own boolean)
returns setof app.page_post
language sql
stable
rows 20
begin atomic
  with horizon as materialized (
    select greatest(
      (select h.post_id from app.feed_horizon h),
      (select s.complete_from from app.feed_states s where s.user_id = app.current_user_id())
    ) as id
  ),
  pushed as materialized (
    select p.id, p.content, p.created_at, p.parent_id, p.replies_count, p.author
    from (
      select c.id, c.content, c.created_at, c.parent_id, c.replies_count, c.author
      from app.feed_entries e
      join app.post_cards c on c.id = e.post_id
      where e.user_id = app.current_user_id()
        and e.post_id < app.page_top(cursor)
        and c.visible_author_id is not null
      order by e.post_id desc
      limit 101
    ) p
    where p.id >= (select h.id from horizon h)
    order by p.id desc
    limit app.page_limit("limit") + 1
  ),
  -- Nothing older than this can be on the page.
  floor as materialized (
    select case
      when count(*) > app.page_limit("limit") then min(p.id)
      else (select h.id from horizon h)
    end as id
    from pushed p
  ),
  upper as materialized (
    select m.id, m.content, m.created_at, m.parent_id, m.replies_count, m.author
    from (
      select p.id, p.content, p.created_at, p.parent_id, p.replies_count, p.author
      from pushed p
      union all
      (
        select c.id, c.content, c.created_at, c.parent_id, c.replies_count, c.author
        from app.post_cards c
        where with_own
          and c.author_id = app.current_user_id()
          and not c.is_reply
          and c.id < app.page_top(cursor)
          and c.id >= (select f.id from floor f)
        order by c.id desc
        limit 101
      )
      union all
      (
        select c.id, c.content, c.created_at, c.parent_id, c.replies_count, c.author
        from app.pull_ranges r
        join app.follows f on f.follower_id = app.current_user_id() and f.followed_id = r.author_id
        cross join lateral (
          select c.id, c.content, c.created_at, c.parent_id, c.replies_count, c.author
          from app.post_cards c
          where c.author_id = r.author_id
            and not c.is_reply
            and c.id < least(app.page_top(cursor), r.to_id)
            and c.id >= greatest(r.from_id, (select f.id from floor f))
            and c.visible_author_id is not null
          order by c.id desc
          limit 101
        ) c
      )
    ) m
    order by m.id desc
    limit app.page_limit("limit") + 1
  ),
  lacking as materialized (
    select app.page_limit("limit") + 1 - count(*) as rows from upper
  ),
  page as materialized (
    select u.id, u.content, u.created_at, u.parent_id, u.replies_count, u.author from upper u
    union all
    select b.id, b.content, b.created_at, b.parent_id, b.replies_count, b.author
    from lacking l
    cross join lateral app.feed_below(
      least(app.page_top(cursor), (select h.id from horizon h)), l.rows, with_own
    ) b
    where l.rows > 0 and (select h.id from horizon h) > 0
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

comment on function app.feed_page(text, integer, boolean) is
  'A page of the timeline of app.current_user_id(), with or without one''s own posts: pushed, pulled, and from below the horizon';

grant execute on function app.feed_page(text, integer, boolean) to member;

commit;
