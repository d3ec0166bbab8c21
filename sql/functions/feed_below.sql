-- Deploy microblog:functions/feed_below to pg
-- requires: schema/post_cards
-- requires: schema/follows

begin;
set local role microblog_owner;

-- The newest post of each of one's authors decides which of them can be on this page at all; only
-- those are read further. So it costs one index look-up for each author followed, and a page of
-- rows for each author on the page, however many posts there are.
--
-- PL/pgSQL with the caller's rights: planned once per connection, and no part of the plan of a page
-- that does not need it.
create function app.feed_below(top bigint, "rows" bigint, with_own boolean)
returns setof app.post_row
language plpgsql
stable
rows 20
as $$
begin
  return query
  with heads as materialized (
    select a.author_id
    from (
      select f.followed_id as author_id
      from app.follows f
      where f.follower_id = app.current_user_id()
      union all
      select app.current_user_id() where with_own
    ) a
    join app.users u on u.id = a.author_id
    cross join lateral (
      select p.id
      from app.posts p
      where p.author_id = a.author_id and not p.is_reply and p.id < top
      order by p.id desc
      limit 1
    ) head
    order by head.id desc
    limit "rows"
  )
  select p.id, p.content, p.parent_id, p.replies_count, u.id, u.username
  from (
    select p.id
    from heads h
    cross join lateral (
      select p.id
      from app.posts p
      where p.author_id = h.author_id and not p.is_reply and p.id < top
      order by p.id desc
      limit 101
    ) p
    order by p.id desc
    limit "rows"
  ) b
  join app.posts p on p.id = b.id
  join app.users u on u.id = p.author_id
  order by p.id desc;
end
$$;

comment on function app.feed_below(bigint, bigint, boolean) is
  'The newest posts older than top of everybody one follows, read from app.follows and app.posts: the part of a timeline below the horizon';

grant execute on function app.feed_below(bigint, bigint, boolean) to member;

commit;
