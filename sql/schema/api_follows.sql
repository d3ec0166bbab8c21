-- Deploy microblog:schema/api_follows to pg
-- requires: schema/follows

begin;
set local role microblog_owner;

create view api.follows with (security_invoker = true) as
select
  f.follower_id,
  f.followed_id,
  f.created_at
from app.follows f;

comment on view api.follows is
$$Who follows whom

POST {followed_id} follows; a repeat changes nothing and is no error. DELETE with a filter on
followed_id unfollows.$$;
comment on column api.follows.follower_id is 'The one who follows; always oneself in a POST';
comment on column api.follows.followed_id is 'The one who is followed';
comment on column api.follows.created_at is 'Since when';

grant select on api.follows to anon, member;
grant insert (followed_id) on api.follows to member;
grant delete on api.follows to member;

commit;
