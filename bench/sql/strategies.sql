-- The ways to make a timeline that the reference system's documents describe, beside this project's,
-- so that they can be measured on the same data: pull, push (a table with four indexes and a job),
-- a materialised view with a cache. Lives in the benchmark's own database, after objects.sql.
-- Run again, it changes nothing.
--
-- All answer timeline(u) as this project defines it, 20 rows as app.post_cards shows them. Where the
-- documents' queries do not, as little as it takes was changed: replies are left out everywhere, and
-- one's own posts are put in where only those of others were. Times are posts' times, so ties go by
-- id. What they store is stored for the users in bench.sample: the 1,000 active ones that their
-- scripts read as, because for everybody it would take longer to fill than to measure.
--
--   strategy    is filled by              a post costs                   is read by
--   pull        nothing                   nothing                        bench.timeline_pull
--   push        bench.push_fill()         bench.push_fan_out(post_id)    bench.timeline_push
--   view        bench.view_fill()         nothing until the refresh      bench.timeline_view
--   view+cache  the reads                 nothing until both are stale   bench.timeline_cached
--   hybrid      the project's triggers    see docs/architecture.md       api.feed_timeline

begin;

create schema if not exists bench;
grant usage on schema bench to member;
grant usage, create on schema bench to microblog_owner;

create table if not exists bench.sample (
  user_id bigint constraint sample_pkey primary key
);
grant select on bench.sample to member;

insert into bench.sample (user_id)
select p.user_id from bench.people p where p.kind = 'active' and p.number <= 1000
on conflict do nothing;
analyze bench.sample;

-- -- pull ---------------------------------------------------------------------------------------

create or replace function bench.timeline_pull(reader_id bigint)
returns setof app.page_post
language sql
stable
begin atomic
  with page as materialized (
    select distinct p.*
    from app.posts p
    left join app.follows f on p.author_id = f.followed_id and f.follower_id = reader_id
    where (p.author_id = reader_id or f.followed_id is not null) and not p.is_reply
    order by p.id desc
    limit 20
  )
  select c.id, c.content, c.created_at, c.parent_id, c.replies_count, c.author
  from page p
  join app.post_cards c on c.id = p.id
  order by c.id desc;
end;

-- -- push ---------------------------------------------------------------------------------------

create table if not exists bench.feed_entries (
  id bigint generated always as identity constraint feed_entries_pkey primary key,
  user_id bigint not null,
  post_id bigint not null,
  author_id bigint not null,
  created_at timestamp not null,
  updated_at timestamp not null
);
create index if not exists feed_entries_user_id_created_at_idx
  on bench.feed_entries (user_id, created_at desc);
create unique index if not exists feed_entries_user_id_post_id_key
  on bench.feed_entries (user_id, post_id);
create index if not exists feed_entries_post_id_idx on bench.feed_entries (post_id);
grant select on bench.feed_entries to member;

-- The job: followers in slices of 1,000, one statement each, in one transaction. Returns rows.
create or replace function bench.push_fan_out(post_id bigint)
returns bigint
language plpgsql
as $$
declare
  v_post app.posts;
  v_at timestamp;
  v_after bigint := -1;
  v_slice bigint[];
  v_rows bigint := 0;
begin
  select p.* into strict v_post from app.posts p where p.id = push_fan_out.post_id;
  v_at := app.post_created_at(v_post.id) at time zone 'UTC';
  loop
    v_slice := array(
      select f.follower_id
      from app.follows f
      where f.followed_id = v_post.author_id and f.follower_id > v_after
      order by f.follower_id
      limit 1000
    );
    exit when cardinality(v_slice) = 0;
    insert into bench.feed_entries (user_id, post_id, author_id, created_at, updated_at)
    select s.id, v_post.id, v_post.author_id, v_at, v_at from unnest(v_slice) as s (id);
    v_rows := v_rows + cardinality(v_slice);
    v_after := v_slice[cardinality(v_slice)];
  end loop;
  return v_rows;
end
$$;

create or replace function bench.push_fill()
returns bigint
language plpgsql
as $$
declare
  v_rows bigint;
begin
  if exists (select from bench.feed_entries) then
    return 0;
  end if;
  insert into bench.feed_entries (user_id, post_id, author_id, created_at, updated_at)
  select r.user_id, p.id, p.author_id, t.at, t.at
  from bench.sample r
  cross join lateral (
    select f.followed_id as author_id from app.follows f where f.follower_id = r.user_id
    union all
    select r.user_id
  ) x
  join app.posts p on p.author_id = x.author_id
  cross join lateral (select app.post_created_at(p.id) at time zone 'UTC' as at) t
  where not p.is_reply
  order by p.id;
  get diagnostics v_rows = row_count;
  analyze bench.feed_entries;
  return v_rows;
end
$$;

create or replace function bench.timeline_push(reader_id bigint)
returns setof app.page_post
language sql
stable
begin atomic
  select c.id, c.content, c.created_at, c.parent_id, c.replies_count, c.author
  from bench.feed_entries e
  join app.post_cards c on c.id = e.post_id
  where e.user_id = reader_id
  order by e.created_at desc, e.post_id desc
  limit 20;
end;

-- -- materialised view and cache ------------------------------------------------------------------

-- A trigger cannot add to it, as the documents would have it: PostgreSQL refuses to write to a
-- materialised view. The unique index is what REFRESH … CONCURRENTLY asks for.
create materialized view if not exists bench.user_feeds as
select
  r.user_id,
  p.id as post_id,
  p.author_id,
  p.content,
  app.post_created_at(p.id) as created_at,
  p.parent_id
from bench.sample r
cross join lateral (
  select f.followed_id as author_id from app.follows f where f.follower_id = r.user_id
  union all
  select r.user_id
) x
join app.posts p on p.author_id = x.author_id
where not p.is_reply
order by r.user_id, p.id desc
with no data;
create index if not exists user_feeds_user_id_created_at_idx
  on bench.user_feeds (user_id, created_at desc);
create unique index if not exists user_feeds_user_id_post_id_key
  on bench.user_feeds (user_id, post_id);
alter materialized view bench.user_feeds owner to microblog_owner;
grant select on bench.sample to microblog_owner;
grant select on bench.user_feeds to member;

create or replace function bench.view_fill()
returns void
language plpgsql
as $$
begin
  if exists (select from pg_matviews m where m.schemaname = 'bench' and not m.ispopulated) then
    refresh materialized view bench.user_feeds;
    analyze bench.user_feeds;
  end if;
end
$$;

-- From now on the worker refreshes it (concurrently) whenever it is this old; 300 in the documents.
create or replace function bench.view_keep(seconds bigint)
returns void
language sql
begin atomic
  insert into app.settings (name, value, unit, description)
  values ('bench_user_feeds_lifetime', seconds, 'seconds', 'bench.user_feeds is refreshed when it is this old')
  on conflict on constraint settings_pkey do update set value = excluded.value;
  insert into app.view_refreshes (view_name, lifetime_setting)
  values ('bench.user_feeds', 'bench_user_feeds_lifetime')
  on conflict do nothing;
end;

create or replace function bench.view_leave()
returns void
language sql
begin atomic
  delete from app.view_refreshes where view_name = 'bench.user_feeds';
  delete from app.settings where name = 'bench_user_feeds_lifetime';
end;

create or replace function bench.timeline_view(reader_id bigint)
returns setof app.page_post
language sql
stable
begin atomic
  select c.id, c.content, c.created_at, c.parent_id, c.replies_count, c.author
  from bench.user_feeds v
  join app.post_cards c on c.id = v.post_id
  where v.user_id = reader_id
  order by v.created_at desc, v.post_id desc
  limit 20;
end;

-- For as long as the documents say: 60 seconds.
create unlogged table if not exists bench.feed_cache (
  user_id bigint constraint feed_cache_pkey primary key,
  page json not null,
  cached_at timestamptz not null default now()
) with (fillfactor = 50);
grant select, insert, update on bench.feed_cache to member;

create or replace function bench.timeline_cached(reader_id bigint)
returns json
language plpgsql
as $$
declare
  v_page json;
begin
  select c.page
    into v_page
    from bench.feed_cache c
    where c.user_id = reader_id and c.cached_at > now() - interval '60 seconds';
  if found then
    return v_page;
  end if;
  v_page := coalesce((select json_agg(t) from bench.timeline_view(reader_id) t), '[]');
  insert into bench.feed_cache (user_id, page)
  values (reader_id, v_page)
  on conflict on constraint feed_cache_pkey
    do update set page = excluded.page, cached_at = excluded.cached_at;
  return v_page;
end
$$;

-- -- how a new post reaches its readers ------------------------------------------------------------

-- A post and nothing else: what pull and the view ask of a writer; push also queues its job.
create or replace function bench.post_bare(author_id bigint)
returns bigint
language sql
volatile
set session_replication_role = replica
begin atomic
  insert into app.posts (author_id, content)
  values (author_id, 'Who sees this, and when?')
  returning id;
end;

create or replace function bench.sees_pull(reader_id bigint, post_id bigint)
returns boolean
language plpgsql
as $$
begin
  perform bench.as_member(reader_id);
  return exists (select from bench.timeline_pull(reader_id) t where t.id = sees_pull.post_id);
end
$$;

create or replace function bench.sees_push(reader_id bigint, post_id bigint)
returns boolean
language plpgsql
as $$
begin
  perform bench.as_member(reader_id);
  return exists (select from bench.timeline_push(reader_id) t where t.id = sees_push.post_id);
end
$$;

-- Seconds that one refresh of the view takes, with readers going on or waiting.
create or replace function bench.view_refresh(readers_go_on boolean)
returns double precision
language plpgsql
as $$
declare
  v_start constant timestamptz := clock_timestamp();
begin
  if readers_go_on then
    refresh materialized view concurrently bench.user_feeds;
  else
    refresh materialized view bench.user_feeds;
  end if;
  return extract(epoch from clock_timestamp() - v_start);
end
$$;

grant execute on all functions in schema bench to member;

commit;

select bench.push_fill(), bench.view_fill();
