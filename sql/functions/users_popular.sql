-- Deploy microblog:functions/users_popular to pg
-- requires: functions/page
-- requires: functions/cache
-- requires: schema/views

begin;
set local role microblog_owner;

create type app.page_popular_user as (
  id bigint,
  username text,
  description text,
  followers_count bigint
);

comment on type app.page_popular_user is 'A user on a page of the most followed';

-- Written as functions/feed_page explains. The cursor is a rank, so somebody who rises or falls
-- between two pages may come twice or not at all. An account that is gone leaves its place empty.
create function api.users_popular(cursor text default null, "limit" integer default null)
returns setof app.page_popular_user
language sql
stable
rows 20
begin atomic
  with page as materialized (
    select v.rank, u.id, u.username::text as username, u.description, v.followers_count
    from app.popular_users v
    join app.users u on u.id = v.user_id
    where v.rank > app.page_cursor(cursor, 0)
    order by v.rank
    limit app.page_limit("limit") + 1
  )
  select p.id, p.username, p.description, p.followers_count
  from page p
  where (
    select app.page_more(array_agg(n.rank order by n.rank), cursor, app.page_limit("limit"))
    from page n
  )
    and (select app.cache_shared('/rpc/users_popular'))
  order by p.rank
  limit app.page_limit("limit");
end;

comment on function api.users_popular(text, integer) is
$$Who has the most followers

The first thousand, most followed first, as of a few minutes ago: Age says how many seconds. Shared
between all who send no token. limit: 1–100, default 20. X-Next-Cursor and Link: rel="next" are there
while more follows.$$;

grant execute on function api.users_popular(text, integer) to anon, member;

commit;
