-- Deploy microblog:schema/rate_limits to pg
-- requires: schema/users
--
-- Rate limits. The rules are rows; what they count lies in unlogged tables, which a crash empties
-- and nothing else. A limit holds for every stretch of time as long as its window, wherever it
-- begins: the window slides, in slots of a twentieth of its length.

begin;
set local role microblog_owner;

create table app.rate_limits (
  id smallint generated always as identity constraint rate_limits_pkey primary key,
  name text not null constraint rate_limits_name_key unique,
  methods text[] not null default '{GET,HEAD,POST,PATCH,PUT,DELETE}',
  path_pattern text not null,
  scope text not null,
  quota integer not null,
  window_seconds integer not null,
  counts_rows boolean not null default false,
  is_enabled boolean not null default true,
  is_dry_run boolean not null default false,
  description text not null default '',
  -- Goes into a header as it is.
  constraint rate_limits_name_check check (name ~ '^[a-z][a-z0-9_]{0,49}$'),
  constraint rate_limits_methods_check check (
    cardinality(methods) > 0 and methods <@ '{GET,HEAD,POST,PATCH,PUT,DELETE}'::text[]
  ),
  -- From the path's beginning; a pattern that is none fails at the write.
  constraint rate_limits_path_pattern_check check (
    path_pattern like '^%' and '/' ~ path_pattern is not null
  ),
  constraint rate_limits_scope_check check (scope in ('user', 'address', 'anonymous', 'username')),
  constraint rate_limits_quota_check check (quota > 0),
  constraint rate_limits_window_seconds_check check (window_seconds between 1 and 2592000)
);

comment on table app.rate_limits is
  'Rate limits, one a row: at most quota calls of a key in any window_seconds. A change holds within a second';
comment on column app.rate_limits.name is 'What headers and errors call it';
comment on column app.rate_limits.methods is 'HTTP methods it counts';
comment on column app.rate_limits.path_pattern is
  'Paths it counts: a regular expression for the path as PostgREST sees it (/posts, /rpc/feed_mine)';
comment on column app.rate_limits.scope is
  'What has a count of its own: user (the address where there is no user), address, anonymous (the address, calls without a user only), username (the name a login asks for)';
comment on column app.rate_limits.quota is 'Calls allowed in a window';
comment on column app.rate_limits.window_seconds is 'Length of the window, seconds';
comment on column app.rate_limits.counts_rows is
  'A request that writes several rows counts once for each of them';
comment on column app.rate_limits.is_dry_run is 'Counts and reports refusals, but refuses nothing';

insert into app.rate_limits
  (name, methods, path_pattern, scope, quota, window_seconds, counts_rows, description)
values
  ('address', default, '^/(?!rpc/up$)', 'address', 300, 300, false,
    'All requests of an address but for /up, which has a limit of its own'),
  ('anonymous', default, '^/(?!rpc/(up|health)$)', 'anonymous', 60, 60, false,
    'Calls without a token, health checks aside'),
  ('feeds', '{GET,HEAD,POST}', '^/rpc/feed_', 'user', 100, 60, false, 'Feed reads'),
  ('posts', '{POST}', '^/posts$', 'user', 10, 60, true, 'Posts and replies written'),
  ('follows', '{POST,DELETE}', '^/follows$', 'user', 50, 3600, true, 'Follows and unfollows'),
  ('passwords', '{POST}', '^/rpc/(login|password_change|account_delete)$', 'address', 25, 300,
    false, 'Passwords tried from an address'),
  ('login', '{POST}', '^/rpc/login$', 'username', 10, 300, false, 'Passwords tried for a username'),
  ('own_password', '{POST}', '^/rpc/(password_change|account_delete)$', 'user', 10, 300, false,
    'Passwords tried with a token of the account'),
  ('signup', '{POST}', '^/rpc/signup$', 'address', 5, 1800, false, 'Accounts made from an address'),
  ('up', default, '^/rpc/up$', 'address', 600, 60, false,
    'Calls of /up, which a load balancer asks all the time');

create table app.rate_limit_exemptions (
  id bigint generated always as identity constraint rate_limit_exemptions_pkey primary key,
  address inet constraint rate_limit_exemptions_address_key unique,
  user_id bigint
    constraint rate_limit_exemptions_user_id_key unique
    constraint rate_limit_exemptions_user_id_fkey references app.users on delete cascade,
  note text not null default '',
  constraint rate_limit_exemptions_one_check check (num_nonnulls(address, user_id) = 1),
  -- Which would match nobody: what comes by such an address is taken for the IPv4 address it is.
  constraint rate_limit_exemptions_address_check check (not address <<= '::ffff:0.0.0.0/96')
);

comment on table app.rate_limit_exemptions is
  'Addresses (or networks: 10.0.0.0/8, 2001:db8::/48) and users whose requests no rule counts';

create unlogged table app.rate_limit_buckets (
  rule_id smallint not null,
  window_seconds integer not null,
  key text collate "C" not null,
  slot bigint not null,
  quota integer not null,
  hit_count bigint not null,
  past_counts bigint[] not null,
  refusal_count bigint not null default 0,
  constraint rate_limit_buckets_pkey primary key (rule_id, window_seconds, key)
)
-- Room for HOT updates on the page: a bucket is updated with each call it counts.
with (fillfactor = 70);

comment on table app.rate_limit_buckets is
  'What each rule has counted of each key. No foreign key: a call must not lock the row of its rule';
comment on column app.rate_limit_buckets.window_seconds is
  'Of the rule: one whose window changes starts with empty buckets';
comment on column app.rate_limit_buckets.key is
  'Address, network (IPv6, /64), user or username: "203.0.113.7", "2001:db8::/64", "user 17", "name alice"';
comment on column app.rate_limit_buckets.slot is
  'Newest slot: seconds since 1970 divided by a twentieth of the window';
comment on column app.rate_limit_buckets.quota is 'Of the rule, when it last allowed a call';
comment on column app.rate_limit_buckets.hit_count is
  'Calls allowed since the bucket was made. Less the last of past_counts: calls in the window, never more than the quota';
comment on column app.rate_limit_buckets.past_counts is
  'What hit_count was at the end of each of the 21 slots before the newest, the latest first';
comment on column app.rate_limit_buckets.refusal_count is
  'Calls refused since the bucket was made, but for those in app.rate_limit_refusals';

-- Refusals are appended and folded: a flood must not leave a dead version of one row for each of
-- its calls, which every later call would have to step over while an old transaction is open.
create unlogged table app.rate_limit_refusals (
  rule_id smallint not null,
  window_seconds integer not null,
  key text collate "C" not null,
  refusal_count integer not null default 1
);

comment on table app.rate_limit_refusals is 'Refused calls not yet added to their buckets';

create unlogged table app.rate_limit_totals (
  rule_id smallint constraint rate_limit_totals_pkey primary key,
  hit_count bigint not null,
  refusal_count bigint not null
);

comment on table app.rate_limit_totals is 'Counts of buckets that were removed, and refusals of keys that had none';

commit;
