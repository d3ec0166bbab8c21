-- Deploy microblog:functions/feed_rows to pg
-- requires: functions/page
-- requires: schema/post_cards
-- requires: schema/feed_entries
-- requires: schema/feed_states
-- requires: schema/follows
-- requires: functions/feed_below

begin;
set local role microblog_owner;

-- The hot path. PL/pgSQL, because starting and ending a plan node costs about as much as a row of the
-- page, and most pages need few of them: entries and one's own posts, both read in the page's own
-- order, merged, and looked up one by one. Two more plans wait for readers who follow very large
-- authors, and for pages that reach what is no longer kept (docs/decisions/0022).
--
-- Posts and authors are looked up before the page is cut off: an entry whose post is gone, and a
-- post whose author is gone (row security hides the account), must not count towards the page.
-- "offset 0" keeps that a look-up for each entry: where a few readers have very many entries, the
-- planner would else merge them with all posts that are newer than the cursor.
--
-- The plans do not depend on who has how many entries. They are generic: to the server's own choice
-- between generic and custom plans, one for somebody with a dozen entries looks so cheap that it would
-- plan each page anew. And they avoid sorts: where the average reader has few entries, reading all of
-- somebody's and sorting them looks as cheap as reading the newest. The constant limit 101, the
-- largest page and one more, says that few rows are wanted; the horizon is checked outside, because
-- a range with two ends would make the planner expect next to nothing.
create function app.feed_rows(cursor text, "limit" integer, with_own boolean)
returns setof app.post_row
language plpgsql
stable
rows 20
set plan_cache_mode = force_generic_plan
set enable_sort = off
as $$
declare
  v_rows constant integer := app.page_limit("limit") + 1;
  v_top constant bigint := app.page_top(cursor);
  v_user_id constant bigint := app.current_user_id();
  v_own_id constant bigint := case when with_own then v_user_id end;
  v_horizon bigint;
  v_pulled bigint[];
  v_found integer;
begin
  -- Large authors are few and follows may be thousands: so a sub-select, one look-up for each large
  -- author. As a join, the planner would have read everything that somebody follows.
  select
      greatest(
        h.post_id,
        (select s.complete_from from app.feed_states s where s.user_id = v_user_id)
      ),
      array(
        select r.author_id
        from app.pull_ranges r
        where (
          select true
          from app.follows f
          where f.follower_id = v_user_id and f.followed_id = r.author_id
        )
      )
    into v_horizon, v_pulled
    from app.feed_horizon h;

  if v_pulled = '{}' then
    return query
    select k.id, k.content, k.parent_id, k.replies_count, k.author_id, k.username
    from (
      select n.id, c.content, c.parent_id, c.replies_count, c.author_id, c.username
      from (
        (
          select e.post_id as id
          from app.feed_entries e
          where e.user_id = app.current_user_id() and e.post_id < v_top
          order by e.post_id desc
        )
        union all
        (
          select p.id
          from app.posts p
          where p.author_id = v_own_id and not p.is_reply and p.id < v_top
          order by p.id desc
        )
      ) n
      cross join lateral (
        select p.content, p.parent_id, p.replies_count, p.author_id, u.username
        from app.posts p
        join app.users u on u.id = p.author_id
        where p.id = n.id
        offset 0
      ) c
      order by n.id desc
      limit 101
    ) k
    where k.id >= v_horizon
    order by k.id desc
    limit v_rows;
  else
    -- The same, and posts of large authors: only those that are newer than the last of the others.
    return query
    with kept as materialized (
      select k.id, k.content, k.parent_id, k.replies_count, k.author_id, k.username
      from (
        select n.id, c.content, c.parent_id, c.replies_count, c.author_id, c.username
        from (
          (
            select e.post_id as id
            from app.feed_entries e
            where e.user_id = app.current_user_id() and e.post_id < v_top
            order by e.post_id desc
          )
          union all
          (
            select p.id
            from app.posts p
            where p.author_id = v_own_id and not p.is_reply and p.id < v_top
            order by p.id desc
          )
        ) n
        cross join lateral (
          select p.content, p.parent_id, p.replies_count, p.author_id, u.username
          from app.posts p
          join app.users u on u.id = p.author_id
          where p.id = n.id
          offset 0
        ) c
        order by n.id desc
        limit 101
      ) k
      where k.id >= v_horizon
      order by k.id desc
      limit v_rows
    ),
    floor as materialized (
      select case when count(*) = v_rows then min(k.id) else v_horizon end as id
      from kept k
    )
    select a.id, a.content, a.parent_id, a.replies_count, a.author_id, a.username
    from (
      select k.id, k.content, k.parent_id, k.replies_count, k.author_id, k.username
      from kept k
      union all
      -- Authors last: of most that are followed there is nothing new.
      select p.id, p.content, p.parent_id, p.replies_count, u.id, u.username
      from (
        select r.author_id, n.id, n.content, n.parent_id, n.replies_count
        from app.pull_ranges r
        cross join lateral (
          select p.id, p.content, p.parent_id, p.replies_count
          from app.posts p
          where p.author_id = r.author_id
            and not p.is_reply
            and p.id < least(v_top, r.to_id)
            and p.id >= greatest(r.from_id, (select f.id from floor f))
          order by p.id desc
          limit v_rows
        ) n
        where r.author_id = any (v_pulled)
        offset 0
      ) p
      join app.users u on u.id = p.author_id
    ) a
    order by a.id desc
    limit v_rows;
  end if;

  get diagnostics v_found = row_count;
  if v_found < v_rows and v_horizon > 0 then
    return query
    select b.id, b.content, b.parent_id, b.replies_count, b.author_id, b.username
    from app.feed_below(least(v_top, v_horizon), v_rows - v_found, with_own) b;
  end if;
end
$$;

comment on function app.feed_rows(text, integer, boolean) is
  'What of the timeline of app.current_user_id() is on a page, and one post more if there is one, newest first: pushed, pulled, from below the horizon, and with_own one''s own';

grant execute on function app.feed_rows(text, integer, boolean) to member;

commit;
