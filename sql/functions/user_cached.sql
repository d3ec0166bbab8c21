-- Deploy microblog:functions/user_cached to pg
-- requires: schema/api_users
-- requires: functions/user_require
-- requires: functions/cache

begin;
set local role microblog_owner;

-- PL/pgSQL, as api.me.
create function api.user_cached(user_id bigint default null)
returns api.users
language plpgsql
stable
as $$
declare
  v_user api.users;
begin
  select
      u.id, u.username, u.description, u.created_at,
      u.followers_count, u.following_count, u.posts_count
    into v_user
    from api.users u
    where u.id = app.user_require(user_cached.user_id)
      and (select app.cache_shared('/rpc/user_cached'));
  return v_user;
end
$$;

comment on function api.user_cached(bigint) is
$$A profile, with counts as of up to an hour ago

The same columns as /users, shared between all who send no token. Name and description are as they
are. Age says how many seconds old the counts are.$$;

grant execute on function api.user_cached(bigint) to anon, member;

commit;
