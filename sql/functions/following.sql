-- Deploy microblog:functions/following to pg
-- requires: functions/page
-- requires: functions/user_require
-- requires: schema/follows

begin;
set local role microblog_owner;

-- In the order of account ids: stable, and the order of the index follows_pkey.
create function api.following(
  user_id bigint default null,
  cursor text default null,
  "limit" integer default null
)
returns setof app.page_user
language sql
stable
rows 20
begin atomic
  with page as materialized (
    select u.id, u.username, u.description
    from app.follows f
    join app.users u on u.id = f.followed_id
    where f.follower_id = following.user_id
      and f.followed_id > app.page_cursor(cursor, 0)
    order by f.followed_id
    limit app.page_limit("limit") + 1
  )
  select p.id, p.username, p.description
  from page p
  where (
    select app.page_more(
      array_agg(n.id order by n.id),
      cursor,
      app.page_limit("limit"),
      'user_id=' || app.user_require(following.user_id) || '&'
    )
    from page n
  )
  order by p.id
  limit app.page_limit("limit");
end;

comment on function api.following(bigint, text, integer) is
$$Whom a user follows

Oldest account first. limit: 1–100, default 20. X-Next-Cursor and Link: rel="next" are there while
more follows.$$;

grant execute on function api.following(bigint, text, integer) to anon, member;

commit;
