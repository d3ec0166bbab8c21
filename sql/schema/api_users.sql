-- Deploy microblog:schema/api_users to pg
-- requires: schema/users

begin;
set local role microblog_owner;

create view api.users with (security_invoker = true) as
select
  u.id,
  u.username,
  u.description,
  u.created_at,
  c.followers_count,
  c.following_count,
  c.posts_count
from app.users u
left join app.user_counts c on c.user_id = u.id;

comment on view api.users is
$$People

Read anybody's profile; PATCH one's own username and description.$$;
comment on column api.users.username is '1–50 characters of A–Z, a–z, 0–9, underscore; compared without regard to case';
comment on column api.users.description is 'At most 120 characters';
comment on column api.users.followers_count is 'Exact number of followers';
comment on column api.users.following_count is 'Exact number of people followed';
comment on column api.users.posts_count is 'Exact number of posts and replies';

grant select on api.users to anon, member;
grant update (username, description) on api.users to member;

commit;
