-- Deploy microblog:schema/follows to pg
-- requires: schema/users

begin;
set local role microblog_owner;

create table app.follows (
  follower_id bigint not null default app.current_user_id()
    constraint follows_follower_id_fkey references app.users (id) on delete cascade,
  followed_id bigint not null
    constraint follows_followed_id_fkey references app.users (id) on delete cascade,
  created_at timestamptz not null default now(),
  constraint follows_no_self_check check (follower_id <> followed_id)
);

-- Followers in id order: what fan-out walks, chunk by chunk, and what lists followers.
create index follows_followed_id_follower_id_idx on app.follows (followed_id, follower_id);

-- After the other: of two indexes that cost the same to look a pair up, the planner takes the newer one.
-- Here a reader's follows lie side by side, so that one look-up for each large author finds in the
-- processor's cache what the first one brought.
alter table app.follows add constraint follows_pkey primary key (follower_id, followed_id);

comment on table app.follows is 'Who follows whom';
comment on column app.follows.follower_id is 'The one who reads';
comment on column app.follows.followed_id is 'The one who is read';

alter table app.follows enable row level security;

create policy follows_select on app.follows for select to anon, member
  using (true);
create policy follows_insert on app.follows for insert to member
  with check (follower_id = app.current_user_id());
create policy follows_delete on app.follows for delete to member
  using (follower_id = app.current_user_id());

grant select on app.follows to anon, member;
grant insert (followed_id) on app.follows to member;
grant delete on app.follows to member;

commit;
