-- Deploy microblog:schema/views to pg
-- requires: schema/settings
-- requires: schema/post_cards
--
-- What may be as old as a minute, and says so: materialised views. One job refreshes each when its
-- lifetime is over, CONCURRENTLY: readers see the old rows until the new ones are committed, and
-- never wait. Why these two, and no feeds of inactive users: docs/decisions/0012.

begin;
set local role microblog_owner;

insert into app.settings (name, value, unit, description) values
  ('public_page_lifetime', 60, 'seconds',
    'app.public_page is refreshed when it is this old'),
  ('public_page_posts', 1000, 'posts',
    'Newest posts in app.public_page'),
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

-- Whole rows, so that a page is one index scan. The owner refreshes it, whom row security does not
-- bind: accounts that are being deleted are left out here.
create materialized view app.public_page as
select
  c.id,
  c.content,
  c.created_at,
  c.parent_id,
  c.replies_count,
  case when u.id is not null then c.author end as author
from app.post_cards c
left join app.users u on u.id = c.author_id and u.deleted_at is null
where not c.is_reply
order by c.id desc
limit app.setting('public_page_posts');

create unique index public_page_id_key on app.public_page (id);

comment on materialized view app.public_page is 'The newest top-level posts as pages show them';

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
  ('app.public_page', 'public_page_lifetime'),
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

alter table app.view_refreshes enable row level security;

create policy view_refreshes_select on app.view_refreshes for select to anon, member
  using (true);

grant select on app.view_refreshes, app.public_page, app.popular_users to anon, member;
grant select on dba.views to monitor;

commit;
