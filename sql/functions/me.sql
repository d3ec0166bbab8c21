-- Deploy microblog:functions/me to pg
-- requires: schema/api_users
-- requires: functions/current_user_id

begin;
set local role microblog_owner;

create function api.me()
returns api.users
language sql
stable
begin atomic
  select
    u.id, u.username, u.description, u.created_at,
    u.followers_count, u.following_count, u.posts_count
  from api.users u
  where u.id = app.current_user_id();
end;

comment on function api.me() is
$$One's own profile

The same columns as /users.$$;

grant execute on function api.me() to member;

commit;
