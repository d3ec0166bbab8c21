-- Deploy microblog:schema/users to pg
-- requires: schema/schemas
-- requires: functions/current_user_id

begin;
set local role microblog_owner;

-- Nothing in here changes on a follow or a post: the counters have a narrow table of their own.
create table app.users (
  id bigint generated always as identity constraint users_pkey primary key,
  username text collate app.ignore_case not null,
  description text not null default '',
  created_at timestamptz not null default now(),
  deleted_at timestamptz,
  constraint users_username_check check (username collate "C" ~ '^[A-Za-z0-9_]{1,50}$'),
  constraint users_description_check check (char_length(description) <= 120)
);

-- The name of an account that is being deleted is free at once.
create unique index users_username_key on app.users (username) where deleted_at is null;

comment on table app.users is 'People. A row with deleted_at waits for app.job_account_purge to remove the rest of it';
comment on column app.users.username is '1–50 characters of A–Z, a–z, 0–9 and _; unique whatever the case';
comment on column app.users.description is 'What the user says of themselves, at most 120 characters';
comment on column app.users.deleted_at is 'Account deletion accepted: hidden from every request role from then on';

create table app.user_counters (
  user_id bigint constraint user_counters_pkey primary key
    constraint user_counters_user_id_fkey references app.users (id) on delete cascade,
  followers_count bigint not null default 0,
  following_count bigint not null default 0,
  posts_count bigint not null default 0
) with (fillfactor = 50);

-- No index on a counter and half of each page free: every update stays on its page (HOT).
comment on table app.user_counters is
  'Cached counts. The exact figure is the row plus app.user_counter_deltas: read app.user_counts';
comment on column app.user_counters.posts_count is 'Posts and replies';

create table app.user_counter_deltas (
  user_id bigint not null,
  id bigint generated always as identity,
  followers integer not null default 0,
  following integer not null default 0,
  posts integer not null default 0,
  constraint user_counter_deltas_pkey primary key (user_id, id)
);

comment on table app.user_counter_deltas is
  'Changes that found their counter row busy: appended instead of waiting, folded in by app.job_counters_fold';

-- The one place that adds the two up. Invoker rights, so that the planner can look through it.
create view app.user_counts with (security_invoker = true) as
select
  c.user_id,
  c.followers_count + coalesce(d.followers, 0) as followers_count,
  c.following_count + coalesce(d.following, 0) as following_count,
  c.posts_count + coalesce(d.posts, 0) as posts_count
from app.user_counters c
left join lateral (
  select
    sum(d.followers) as followers,
    sum(d.following) as following,
    sum(d.posts) as posts
  from app.user_counter_deltas d
  where d.user_id = c.user_id
) d on true;

comment on view app.user_counts is 'Exact counts of each user: followers, following, posts';

create table app.credentials (
  user_id bigint constraint credentials_pkey primary key
    constraint credentials_user_id_fkey references app.users (id) on delete cascade,
  password_hash text not null,
  changed_at timestamptz not null default now(),
  constraint credentials_password_hash_check check (password_hash ~ '^\$2[abxy]\$[0-9]{2}\$.{53}$')
);

comment on table app.credentials is 'bcrypt hashes; granted to nobody';

alter table app.users enable row level security;

-- One rule hides a deleted account from every path that a request can take.
create policy users_select on app.users for select to anon, member
  using (deleted_at is null);
create policy users_update on app.users for update to member
  using (id = app.current_user_id())
  with check (id = app.current_user_id());

grant select (id, username, description, created_at, deleted_at) on app.users to anon, member;
grant update (username, description) on app.users to member;
grant select on app.user_counters, app.user_counter_deltas, app.user_counts to anon, member;

commit;
