-- Deploy microblog:schema/views to pg
-- requires: schema/settings
-- requires: schema/users
--
-- What may be some minutes old, and says so: materialised views. One job refreshes each when its
-- lifetime is over, CONCURRENTLY: readers see the old rows until the new ones are committed, and
-- never wait. Why this one, and no feeds: docs/decisions/0012 and 0020.

begin;
set local role microblog_owner;

insert into app.settings (name, value, unit, description) values
  ('popular_users_lifetime', 300, 'seconds',
    'app.popular_users is refreshed when it is this old'),
  ('popular_users_ranks', 1000, 'users',
    'Most followed users in app.popular_users');

create table app.view_refreshes (
  view_name text constraint view_refreshes_pkey primary key,
  lifetime_setting text not null
    constraint view_refreshes_lifetime_setting_fkey references app.settings (name),
  refreshed_at timestamptz not null default now(),
  took interval not null default '0',
  constraint view_refreshes_refreshed_at_check check (isfinite(refreshed_at))
);

create index view_refreshes_lifetime_setting_idx on app.view_refreshes (lifetime_setting);

comment on table app.view_refreshes is
  'Materialised views that app.job_views_refresh keeps, and of when each is; committed with its rows';
comment on column app.view_refreshes.lifetime_setting is 'Name in app.settings of the age, in seconds, at which it is refreshed';
comment on column app.view_refreshes.refreshed_at is 'Before its query began: everything committed until then is in it. An earlier time has it refreshed at once';
comment on column app.view_refreshes.took is 'How long the last refresh took';

-- The order alone; names, and whether somebody is still there, are read with the page.
create materialized view app.popular_users as
select
  row_number() over (order by t.followers_count desc, t.user_id) as rank,
  t.user_id,
  t.followers_count
from (
  select c.user_id, c.followers_count
  from app.user_counters c
  join app.users u on u.id = c.user_id
  where u.deleted_at is null
  order by c.followers_count desc, c.user_id
  limit app.setting('popular_users_ranks')
) t;

create unique index popular_users_rank_key on app.popular_users (rank);

comment on materialized view app.popular_users is 'The most followed users, in order';
comment on column app.popular_users.followers_count is 'At the time of the refresh, without what waits in app.user_counter_deltas';

insert into app.view_refreshes (view_name, lifetime_setting) values
  ('app.popular_users', 'popular_users_lifetime');

create view dba.views as
select
  v.view_name,
  s.value * interval '1 second' as lifetime,
  now() - v.refreshed_at as age,
  v.took,
  pg_total_relation_size(c.oid) as bytes
from app.view_refreshes v
join app.settings s on s.name = v.lifetime_setting
join pg_namespace n on n.nspname = split_part(v.view_name, '.', 1)
join pg_class c on c.relnamespace = n.oid and c.relname = split_part(v.view_name, '.', 2);

comment on view dba.views is
  'Materialised views: when each is to be refreshed, how old it is, how long the last refresh took, bytes with indexes';

grant select on app.popular_users to anon, member;
grant select on dba.views to monitor;

commit;
