-- Deploy microblog:schema/feed_states to pg
-- requires: schema/users
-- requires: schema/settings
--
-- What of a timeline is kept as rows of app.feed_entries, and what is read from app.follows and
-- app.posts when somebody asks:
--
--   newest  ┌─ pulled: posts in app.pull_ranges, by authors too large to deliver
--           │  pushed: app.feed_entries, everybody else's posts
--   horizon ├─ the later of app.feed_horizon (retention) and feed_states.complete_from (an inactive
--           │  reader's is out of reach: nothing is kept)
--   oldest  └─ below it: all posts of everybody one follows, author by author
--
-- A page runs through all of it by one cursor, because everything is ordered by the post's id.

begin;
set local role microblog_owner;

create table app.feed_states (
  user_id bigint constraint feed_states_pkey primary key
    constraint feed_states_user_id_fkey references app.users (id) on delete cascade,
  delivered_from bigint not null default 0,
  complete_from bigint not null default 0,
  active_until timestamptz not null default now() + interval '7 days',
  returns integer not null default 0,
  constraint feed_states_complete_from_check check (complete_from >= delivered_from)
);

-- What app.job_feeds_release looks for.
create index feed_states_active_until_idx on app.feed_states (active_until)
  where delivered_from < 9007199254740992;

-- Who became inactive last (app.inactive_feeds).
create index feed_states_active_until_inactive_idx on app.feed_states (active_until)
  where delivered_from = 9007199254740992;

comment on table app.feed_states is 'Which part of each user''s timeline is kept in app.feed_entries';
comment on column app.feed_states.delivered_from is
  'Fan-out and follows write entries of posts with this id and newer ones; 9007199254740992 (2^53): of none';
comment on column app.feed_states.complete_from is
  'Readers find all entries from this id on; later than delivered_from while a job fills in what was missed';
comment on column app.feed_states.active_until is
  'Kept for as long; each login moves it to feed_active_time after the end of the session, so that reading writes nothing';
comment on column app.feed_states.returns is
  'How often they came back after their timeline was dropped; tells the rebuild of this time from one of an earlier time';

create table app.feed_horizon (
  post_id bigint not null,
  is_only boolean constraint feed_horizon_pkey primary key default true,
  constraint feed_horizon_is_only_check check (is_only)
);

comment on table app.feed_horizon is 'One row: entries of posts older than this id are dropped from app.feed_entries';

insert into app.feed_horizon (post_id) values (0);

create table app.pull_ranges (
  author_id bigint not null
    constraint pull_ranges_author_id_fkey references app.users (id) on delete cascade,
  from_id bigint not null,
  to_id bigint not null default 9007199254740992,
  constraint pull_ranges_pkey primary key (author_id, from_id),
  constraint pull_ranges_to_id_check check (from_id < to_id)
);

comment on table app.pull_ranges is
  'Posts that are not delivered but merged in by readers: those of author_id from from_id (inclusive) to to_id (exclusive)';
comment on column app.pull_ranges.to_id is '9007199254740992 (2^53) while the author is that large';

alter table app.feed_states enable row level security;
alter table app.feed_horizon enable row level security;
alter table app.pull_ranges enable row level security;

create policy feed_states_select on app.feed_states for select to member
  using (user_id = app.current_user_id());
create policy feed_horizon_select on app.feed_horizon for select to member
  using (true);
create policy pull_ranges_select on app.pull_ranges for select to member
  using (true);

grant select on app.feed_states, app.feed_horizon, app.pull_ranges to member;

commit;
