-- Deploy microblog:schema/posts to pg
-- requires: schema/users
-- requires: functions/post_id
-- requires: functions/text_trimmed

begin;
set local role microblog_owner;

create table app.posts (
  id bigint not null default app.post_id_next() constraint posts_pkey primary key,
  author_id bigint default app.current_user_id()
    constraint posts_author_id_fkey references app.users (id) on delete set null,
  parent_id bigint
    constraint posts_parent_id_fkey references app.posts (id) on delete set null,
  replies_count integer not null default 0,
  is_reply boolean not null default false,
  content text not null,
  constraint posts_id_check check (id > 0 and id < 9007199254740992),
  constraint posts_parent_id_check check (parent_id is null or is_reply),
  constraint posts_content_check check (
    char_length(content) between 1 and 200
    and content = app.text_trimmed(content)
  )
) with (fillfactor = 90);

-- A profile's posts and the feed "mine"; serves the foreign key too.
create index posts_author_id_id_idx on app.posts (author_id, id);
-- One's own part of the timeline, the backfill of a follow: without stepping over replies.
create index posts_author_id_id_top_level_idx on app.posts (author_id, id) where not is_reply;
-- The public feed.
create index posts_id_top_level_idx on app.posts (id) where not is_reply;
-- The replies of a post, oldest first; serves the foreign key too.
create index posts_parent_id_id_idx on app.posts (parent_id, id) where parent_id is not null;

comment on table app.posts is 'Posts and replies. The time of a post is read off its id: app.post_created_at';
comment on column app.posts.author_id is 'Null once the author''s account is deleted: the post stays';
comment on column app.posts.parent_id is 'What this is a reply to; null once that post is deleted: the reply stays';
comment on column app.posts.is_reply is
  'Was written as a reply. Stays true when the parent is deleted, so that an orphaned reply does not turn up in feeds';
comment on column app.posts.replies_count is
  'Cached count of direct replies; the exact figure adds app.post_counter_deltas';
comment on column app.posts.content is '1–200 characters (Unicode code points) without white space at either end';

create table app.post_counter_deltas (
  post_id bigint not null,
  id bigint generated always as identity,
  replies integer not null,
  constraint post_counter_deltas_pkey primary key (post_id, id)
);

comment on table app.post_counter_deltas is
  'Changes of replies_count that found the post busy: appended instead of waiting, folded in by app.job_counters_fold';

alter table app.posts enable row level security;

create policy posts_select on app.posts for select to anon, member
  using (true);
create policy posts_insert on app.posts for insert to member
  with check (author_id = app.current_user_id());
create policy posts_delete on app.posts for delete to member
  using (author_id = app.current_user_id());

grant select on app.posts, app.post_counter_deltas to anon, member;
grant insert (content, parent_id) on app.posts to member;
grant delete on app.posts to member;

commit;
