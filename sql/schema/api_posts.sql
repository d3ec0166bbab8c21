-- Deploy microblog:schema/api_posts to pg
-- requires: schema/posts

begin;
set local role microblog_owner;

create view api.posts with (security_invoker = true) as
select
  p.id,
  p.author_id,
  p.content,
  p.parent_id,
  p.is_reply,
  p.replies_count + coalesce(
    (select sum(d.replies) from app.post_counter_deltas d where d.post_id = p.id), 0
  )::integer as replies_count,
  app.post_created_at(p.id) as created_at
from app.posts p;

comment on view api.posts is
$$Posts and replies

POST {content, parent_id?} writes one; the header Idempotency-Key makes a repeat safe. DELETE with
a filter on id removes one's own.$$;
comment on column api.posts.id is 'Time-ordered; serves as cursor: id=lt.<id>&order=id.desc';
comment on column api.posts.author_id is 'Null once the author''s account is deleted';
comment on column api.posts.content is '1–200 characters, after trimming white space';
comment on column api.posts.parent_id is 'The post that this replies to; null in a post of its own, and once the parent is deleted';
comment on column api.posts.is_reply is 'Was written as a reply, whether or not the parent is still there';
comment on column api.posts.replies_count is 'Exact number of direct replies';
comment on column api.posts.created_at is 'Time of posting, to the millisecond; the same as in the id';

grant select on api.posts to anon, member;
grant insert (content, parent_id) on api.posts to member;
grant delete on api.posts to member;

commit;
