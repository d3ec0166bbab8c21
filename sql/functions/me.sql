-- Deploy microblog:functions/me to pg
-- requires: schema/api_users
-- requires: functions/current_user_id

begin;
set local role microblog_owner;

-- PL/pgSQL keeps the plan; in SQL a function of one row is planned at each call.
create function api.me()
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
    where u.id = app.current_user_id();
  return v_user;
end
$$;

comment on function api.me() is
$$One's own profile

The same columns as /users.$$;

grant execute on function api.me() to member;

commit;
