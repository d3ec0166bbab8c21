-- Deploy microblog:functions/feed_page to pg
-- requires: functions/page
-- requires: functions/page_tag
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
-- It is written for few plan nodes, because starting and ending them costs more than the rows of a
-- page (docs/decisions/0016): the sources carry a post as stored, what makes a card of it comes
-- once, at the end, in the words of app.post_cards; and what must be procedural but is not needed on most pages is a function.
--
-- From the top: what was pushed, what large authors and oneself posted; each an index scan in the
-- page's own order. Posts are joined inside each source: an entry whose post is gone, and a post
-- whose author is gone (row security hides the account), must not count towards the page. "offset
-- 0" keeps that a look-up for each entry: where a few readers have very many entries, the planner
-- would else merge them with all posts that are newer than the cursor. The constant limit 101, the
-- largest page and one more, tells the planner that a source is read in order and for a few rows
-- only; of what was pushed the horizon is checked outside, because a range with two ends would make
-- it expect next to nothing, read it whole and sort. Only where the pushed part ends before the page
-- is full, app.feed_below is asked for what is older.
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
    select p.id, p.content, p.parent_id, p.replies_count, p.author_id, p.username
    from (
      select
        e.post_id as id,
        c.content,
        c.parent_id,
        c.replies_count,
        c.author_id,
        c.username
      from app.feed_entries e
      cross join lateral (
        select p.content, p.parent_id, p.replies_count, p.author_id, u.username
        from app.posts p
        join app.users u on u.id = p.author_id
        where p.id = e.post_id
        offset 0
      ) c
      where e.user_id = app.current_user_id() and e.post_id < app.page_top(cursor)
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
  -- One is to oneself a large author: merged in, from the first post on.
  merged as (
    select app.current_user_id() as author_id, 0::bigint as from_id, 9007199254740992 as to_id
    where with_own
    union all
    select r.author_id, r.from_id, r.to_id
    from app.pull_ranges r
    join app.follows f on f.follower_id = app.current_user_id() and f.followed_id = r.author_id
  ),
  page as materialized (
    select a.id, a.content, a.parent_id, a.replies_count, a.author_id, a.username
    from (
      select p.id, p.content, p.parent_id, p.replies_count, p.author_id, p.username
      from pushed p
      union all
      select p.id, p.content, p.parent_id, p.replies_count, m.author_id, u.username
      from merged m
      cross join lateral (
        select p.id, p.content, p.parent_id, p.replies_count
        from app.posts p
        where p.author_id = m.author_id
          and not p.is_reply
          and p.id < least(app.page_top(cursor), m.to_id)
          and p.id >= greatest(m.from_id, (select f.id from floor f))
        order by p.id desc
        limit 101
      ) p
      join app.users u on u.id = m.author_id
      union all
      select b.id, b.content, b.parent_id, b.replies_count, b.author_id, b.username
      from app.feed_below(
        least(app.page_top(cursor), (select h.id from horizon h)),
        app.page_limit("limit") + 1,
        with_own
      ) b
      where (select h.id > 0 and h.id = f.id from horizon h, floor f)
    ) a
    order by a.id desc
    limit app.page_limit("limit") + 1
  )
  select
    p.id,
    p.content,
    app.post_created_at(p.id) as created_at,
    p.parent_id,
    p.replies_count + case
      when p.id <= (select max(d.post_id) from app.post_counter_deltas d)
        then coalesce(
          (select sum(d.replies) from app.post_counter_deltas d where d.post_id = p.id), 0
        )::integer
      else 0
    end as replies_count,
    case
      when p.author_id is not null
        then json_build_object('id', p.author_id, 'username', p.username)
    end as author
  from page p
  where (
    select t.is_told and app.page_tell_tag(t.tag)
    from (
      select
        app.page_more(array_agg(n.id order by n.id desc), cursor, app.page_limit("limit")) as is_told,
        -- In the words of app.feed_rows: they change together.
        app.page_tag(
          concat(
            string_agg(app.page_tag_row(n.id, n.replies_count, n.author_id, n.username), ';'),
            case
              when min(n.id) <= (select max(d.post_id) from app.post_counter_deltas d) then (
                select string_agg(concat(d.post_id, ' ', d.id), ';' order by d.post_id, d.id)
                from app.post_counter_deltas d
                where d.post_id = any (array_agg(n.id))
              )
            end
          ),
          app.current_user_id()
        ) as tag
      from page n
    ) t
  )
  order by p.id desc
  limit app.page_limit("limit");
end;

comment on function app.feed_page(text, integer, boolean) is
  'A page of the timeline of app.current_user_id(), with or without one''s own posts: pushed, pulled, and from below the horizon';

grant execute on function app.feed_page(text, integer, boolean) to member;

commit;
