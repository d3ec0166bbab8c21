-- Deploy microblog:schema/cache to pg
-- requires: schema/views
--
-- The shared page cache is HAProxy's (decision 0020). Here stand the calls whose answers it may
-- share, how long, and what the proxies report. A worker carries invalidations and reports.

begin;
set local role microblog_owner;

insert into app.settings (name, value, unit, description) values
  ('profile_lifetime', 3600, 'seconds',
    'Profiles of user_cached are shared for at most this long; 0: not at all');

create table app.cached_calls (
  call text constraint cached_calls_pkey primary key,
  lifetime_setting text not null
    constraint cached_calls_lifetime_setting_fkey references app.settings (name)
);

create index cached_calls_lifetime_setting_idx on app.cached_calls (lifetime_setting);

comment on table app.cached_calls is 'Calls whose answers the proxy may share between callers without a token';
comment on column app.cached_calls.call is 'Path of the call; the proxy has the same list';
comment on column app.cached_calls.lifetime_setting is 'Name in app.settings of how long, in seconds; the proxy keeps nothing for more than a day';

insert into app.cached_calls (call, lifetime_setting) values
  ('/rpc/feed_public_cached', 'public_page_lifetime'),
  ('/rpc/user_cached', 'profile_lifetime'),
  ('/rpc/users_popular', 'popular_users_lifetime');

-- Reports, made anew every few seconds: a crash may forget them.
create unlogged table app.cache_proxies (
  proxy text constraint cache_proxies_pkey primary key,
  reported_at timestamptz not null default now(),
  hits bigint not null,
  misses bigint not null,
  entries bigint not null,
  bytes bigint not null,
  max_bytes bigint not null,
  conditional_short bigint not null,
  conditional_full bigint not null,
  conditional_fallback bigint not null,
  conditional_changed bigint not null,
  feeds_direct bigint not null,
  feeds_fallback bigint not null
);

comment on table app.cache_proxies is 'What each proxy says of its page cache';
comment on column app.cache_proxies.hits is 'Since it was started';
comment on column app.cache_proxies.conditional_short is
  'Conditional requests since it was started that were answered 304 because the database said so';
comment on column app.cache_proxies.conditional_full is
  'Those answered 304 after all the work of a full answer';
comment on column app.cache_proxies.conditional_fallback is
  'Those that the database gave no answer to in time, and that went the usual way';
comment on column app.cache_proxies.conditional_changed is 'Those answered in full';
comment on column app.cache_proxies.feeds_direct is
  'Pages of feeds since it was started that the database gave to the proxy itself';
comment on column app.cache_proxies.feeds_fallback is
  'Requests for feeds that the database gave no answer to in time, and that went the usual way';

create unlogged table app.cache_reports (
  call text constraint cache_reports_pkey primary key,
  filled_at timestamptz,
  invalidations bigint not null default 0,
  invalidated_at timestamptz
);

comment on table app.cache_reports is 'When each shared call was last answered anew, and how often its answers were invalidated';

commit;
