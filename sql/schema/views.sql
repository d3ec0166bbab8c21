-- Deploy microblog:schema/views to pg
-- requires: schema/settings
-- requires: schema/users
-- requires: schema/posts
-- requires: schema/follows
-- requires: schema/feed_states
--
-- What may be some minutes old, and says so: materialised views. One job refreshes each when its
-- lifetime is over, CONCURRENTLY: readers see the old rows until the new ones are committed, and
-- never wait. They hold ids alone, in order: what a page shows of them, and whether it is still
-- there, is read with the page. What each is good for: docs/decisions/0012.

begin;
set local role microblog_owner;

insert into app.settings (name, value, unit, description) values
  ('popular_users_lifetime', 300, 'seconds',
    'app.popular_users is refreshed when it is this old'),
  ('popular_users_ranks', 1000, 'users',
    'Most followed users in app.popular_users'),
  ('public_page_lifetime', 60, 'seconds',
    'app.public_page is refreshed when it is this old; pages of feed_public_cached are shared for what is left of it; 0: they are not shared'),
  ('public_page_rows', 1000, 'posts',
    'Newest posts in app.public_page; below them the page is exact'),
  ('inactive_feeds_lifetime', 300, 'seconds',
    'app.inactive_feeds is refreshed when it is this old'),
  ('inactive_feeds_users', 1000, 'users',
    'Users in app.inactive_feeds: those who became inactive last'),
  ('inactive_feeds_follows', 500, 'follows',
    'Whoever follows more is not in app.inactive_feeds, so that a refresh never takes long');

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

create materialized view app.public_page as
select p.id as post_id
from app.posts p
where not p.is_reply
order by p.id desc
limit app.setting('public_page_rows');

create unique index public_page_post_id_key on app.public_page (post_id);

comment on materialized view app.public_page is 'The newest top-level posts';

-- The definition of a timeline, read author by author as app.feed_below does: the newest post of each
-- decides who can be on the page at all. 21 posts are a page of 20 and the one that tells that more
-- follows. A row is an array: 21 rows with their index would take six times as much.
create materialized view app.inactive_feeds as
select r.user_id, f.post_ids
from (
  select s.user_id
  from app.feed_states s
  join app.users u on u.id = s.user_id
  join app.user_counters c on c.user_id = s.user_id
  where s.delivered_from = 9007199254740992
    and u.deleted_at is null
    and c.following_count <= app.setting('inactive_feeds_follows')
  order by s.active_until desc
  limit app.setting('inactive_feeds_users')
) r
cross join lateral (
  select array_agg(b.id order by b.id desc) as post_ids
  from (
    select p.id
    from (
      select a.author_id
      from (
        select f.followed_id as author_id
        from app.follows f
        where f.follower_id = r.user_id
        union all
        select r.user_id
      ) a
      join app.users u on u.id = a.author_id and u.deleted_at is null
      cross join lateral (
        select p.id
        from app.posts p
        where p.author_id = a.author_id and not p.is_reply
        order by p.id desc
        limit 1
      ) head
      order by head.id desc
      limit 21
    ) h
    cross join lateral (
      select p.id
      from app.posts p
      where p.author_id = h.author_id and not p.is_reply
      order by p.id desc
      limit 21
    ) p
    order by p.id desc
    limit 21
  ) b
) f
where f.post_ids is not null;

create unique index inactive_feeds_user_id_key on app.inactive_feeds (user_id);

comment on materialized view app.inactive_feeds is
  'The first page of the timelines of people whose timeline is not kept; a request reads its own, by app.inactive_feed';
comment on column app.inactive_feeds.post_ids is 'The newest 21, newest first';

insert into app.view_refreshes (view_name, lifetime_setting) values
  ('app.popular_users', 'popular_users_lifetime'),
  ('app.public_page', 'public_page_lifetime'),
  ('app.inactive_feeds', 'inactive_feeds_lifetime');

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

grant select on app.popular_users, app.public_page to anon, member;
grant select on dba.views to monitor;

commit;
