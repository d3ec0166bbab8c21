-- Deploy microblog:functions/feed_rows to pg
-- requires: functions/page
-- requires: schema/post_cards
-- requires: schema/feed_entries
-- requires: schema/feed_states
-- requires: schema/follows
-- requires: functions/feed_below

begin;
set local role microblog_owner;

-- The hot path: which posts are next, by their ids alone, which indexes give; and then those posts
-- with their authors. PL/pgSQL, because starting and ending a plan node costs about as much as a row of
-- the page, and plans stay in the session (decision 0022).
--
-- The plans do not depend on who has how many entries. They are generic: to the server's own choice
-- between generic and custom plans, one for somebody with a dozen entries looks so cheap that it would
-- plan each page anew. And they avoid sorts: where the average reader has few entries, reading all of
-- somebody's and sorting them looks as cheap as reading the newest.

-- With the owner's rights, so that one plan serves whoever asks; it reads what is the reader's own.
create function app.feed_ids(
  top bigint, "rows" integer, with_own boolean, out horizon bigint, out ids bigint[]
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
set enable_sort = off
as $$
declare
  v_user_id constant bigint := app.current_user_id();
  v_own_id constant bigint := case when with_own then v_user_id end;
begin
  -- Large authors are few and follows may be thousands: beyond a hundred, one look-up for each large
  -- author costs less than to read them all.
  select b.horizon, array(
      with entries as materialized (
        select e.post_id as id
        from app.feed_entries e
        where e.user_id = v_user_id and e.post_id < top and e.post_id >= b.horizon
        order by e.post_id desc
        limit "rows"
      )
      select n.id
      from (
        select e.id
        from entries e
        union all
        (
          select p.id
          from app.posts p
          where p.author_id = v_own_id
            and not p.is_reply
            and p.id < top
            and p.id >= b.horizon
          order by p.id desc
          limit "rows"
        )
        union all
        -- Of large authors, what is newer than the last of these entries.
        select p.id
        from app.pull_ranges r
        cross join lateral (
          select p.id
          from app.posts p
          where p.author_id = r.author_id
            and not p.is_reply
            and p.id < least(top, r.to_id)
            and p.id >= greatest(
              r.from_id, b.horizon, (select min(e.id) from entries e having count(*) = "rows")
            )
          order by p.id desc
          limit "rows"
        ) p
        where case
          when cardinality(b.followed) <= 100 then r.author_id = any (b.followed)
          else (
            select true
            from app.follows f
            where f.follower_id = v_user_id and f.followed_id = r.author_id
          )
        end
      ) n
      order by n.id desc
      limit "rows"
    )
    into horizon, ids
    from (
      select
        greatest(
          h.post_id,
          (select s.complete_from from app.feed_states s where s.user_id = v_user_id)
        ) as horizon,
        array(
          select f.followed_id from app.follows f where f.follower_id = v_user_id limit 101
        ) as followed
      from app.feed_horizon h
      offset 0
    ) b;
end
$$;

comment on function app.feed_ids(bigint, integer, boolean) is
  'The next posts older than top of the timeline of app.current_user_id(), newest first, as far as entries are kept: horizon is the id where that ends. Some may be gone, or their authors';

-- A post may be gone, or its author (row security hides the account), while its entry is still there.
-- Neither counts towards the page: where rows are missing, the page goes on below the last id. "offset
-- 0" keeps a look-up for each id: the planner would else merge them with all posts.
create function app.feed_rows(cursor text, "limit" integer, with_own boolean)
returns setof app.post_row
language plpgsql
stable
rows 20
set plan_cache_mode = force_generic_plan
as $$
declare
  v_left integer := app.page_limit("limit") + 1;
  v_top bigint := app.page_top(cursor);
  v_next record;
  v_found integer;
begin
  loop
    v_next := app.feed_ids(v_top, v_left, with_own);
    exit when v_next.ids = '{}';

    return query
    select p.id, p.content, p.parent_id, p.replies_count, u.id, u.username
    from unnest(v_next.ids) n (id)
    cross join lateral (
      select p.id, p.content, p.parent_id, p.replies_count, p.author_id
      from app.posts p
      where p.id = n.id
      offset 0
    ) p
    join app.users u on u.id = p.author_id
    order by p.id desc;

    get diagnostics v_found = row_count;
    -- Null where there are no more ids.
    v_top := v_next.ids[v_left];
    v_left := v_left - v_found;
    exit when v_left = 0 or v_top is null;
  end loop;

  if v_left > 0 and v_next.horizon > 0 then
    return query
    select b.id, b.content, b.parent_id, b.replies_count, b.author_id, b.username
    from app.feed_below(least(v_top, v_next.horizon), v_left, with_own) b;
  end if;
end
$$;

comment on function app.feed_rows(text, integer, boolean) is
  'What of the timeline of app.current_user_id() is on a page, and one post more if there is one, newest first: pushed, pulled, from below the horizon, and with_own one''s own';

grant execute on function app.feed_ids(bigint, integer, boolean) to member;
grant execute on function app.feed_rows(text, integer, boolean) to member;

commit;
