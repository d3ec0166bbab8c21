-- Deploy microblog:functions/seed_load to pg
-- requires: schema/users
-- requires: schema/posts
-- requires: schema/follows
-- requires: schema/feed_states
-- requires: schema/feed_entries
-- requires: functions/feed_deliver
-- requires: functions/job_views_refresh
--
-- Fills an empty database with a made-up network, in one transaction of the caller's:
--
--   app.seed_begin()             takes every table for itself, drops what is built faster at the end
--   COPY … (freeze)              users, feed_states, posts, follows, user_counters
--   app.seed_restore(table)      app.follows gets its indexes back, one a call
--   app.seed_pull_ranges()
--   app.seed_feeds(from, to)     as often as it takes
--   app.seed_restore(table)      app.feed_entries
--   app.seed_end()               proves that the schema is what it was
--
-- Killed at any point, it leaves the database empty. The caller has switched triggers off
-- (session_replication_role = replica), which is a superuser's to do, and answers for the foreign
-- keys: they are not checked. Nobody but the owner may call these.

begin;
set local role microblog_owner;

create function app.seed_indexes()
returns table (index_name text, definition text, constraint_definition text)
language sql
stable
begin atomic
  select
    i.indexrelid::regclass::text,
    pg_get_indexdef(i.indexrelid),
    pg_get_constraintdef(c.oid)
  from pg_index i
  left join pg_constraint c on c.conindid = i.indexrelid and c.conrelid = i.indrelid
  where i.indrelid = 'app.follows'::regclass
    or i.indrelid = 'app.feed_entries'::regclass
    or i.indrelid in (
      select p.inhrelid from pg_inherits p where p.inhparent = 'app.feed_entries'::regclass
    );
end;

comment on function app.seed_indexes() is
  'Indexes of the tables whose indexes a seeding builds last, those of partitions included';

-- Locks all tables at once, so that nobody sees a half-loaded one and nothing deadlocks. The rows of
-- app.view_refreshes come first, as in a refresh: from now on the job passes over the views, instead
-- of holding up its worker until the load is over.
create function app.seed_begin()
returns void
language plpgsql
volatile
as $$
declare
  v_index record;
begin
  perform from app.view_refreshes for update;
  lock table
    app.users, app.user_counters, app.user_counter_deltas, app.posts, app.post_counter_deltas,
    app.follows, app.feed_states, app.feed_entries, app.pull_ranges
    in access exclusive mode;
  if exists (select from app.users) or exists (select from app.posts) then
    raise object_not_in_prerequisite_state using message = 'the database is not empty';
  end if;
  -- What is truncated in this transaction, COPY may freeze: pages are all-visible at once.
  truncate app.users, app.posts, app.feed_entries, app.user_counter_deltas, app.post_counter_deltas
    restart identity cascade;

  create temp table seed_before on commit drop as
  select s.index_name, s.definition, s.constraint_definition from app.seed_indexes() s;

  create temp table seed_definitions on commit drop as
  select
    i.indrelid::regclass as of,
    row_number() over (order by i.indrelid, i.indexrelid) as position,
    r.relname::text as name,
    case when c.oid is null
      then format('drop index %s', i.indexrelid::regclass)
      else format('alter table %s drop constraint %I', i.indrelid::regclass, c.conname)
    end as drop_statement,
    case when c.oid is null
      then pg_get_indexdef(i.indexrelid)
      else format(
        'alter table %s add constraint %I %s',
        i.indrelid::regclass, c.conname, pg_get_constraintdef(c.oid)
      )
    end as restore_statement
  from pg_index i
  join pg_class r on r.oid = i.indexrelid
  left join pg_constraint c on c.conindid = i.indexrelid and c.conrelid = i.indrelid
  where i.indrelid in ('app.follows'::regclass, 'app.feed_entries'::regclass);

  for v_index in select d.drop_statement from pg_temp.seed_definitions d loop
    execute v_index.drop_statement;
  end loop;
end
$$;

comment on function app.seed_begin() is
  'Locks and truncates the tables of an empty database and drops the indexes of app.follows and app.feed_entries; refuses any other';

create function app.seed_restore(of regclass)
returns text
language plpgsql
volatile
as $$
declare
  v_next record;
begin
  select d.name, d.restore_statement
    into v_next
    from pg_temp.seed_definitions d
    where d.of = seed_restore.of
    order by d.position
    limit 1;
  if not found then
    return null;
  end if;
  execute v_next.restore_statement;
  delete from pg_temp.seed_definitions d where d.name = v_next.name;
  return v_next.name;
end
$$;

comment on function app.seed_restore(regclass) is
  'Builds the next index that app.seed_begin dropped from this table; returns its name, null after the last';

create function app.seed_pull_ranges()
returns bigint
language plpgsql
volatile
as $$
declare
  v_rows bigint;
begin
  -- For this and for what comes: the tables are full, and the plans would be those of empty ones.
  analyze app.users, app.posts, app.follows, app.feed_states, app.user_counters;
  insert into app.pull_ranges (author_id, from_id)
  select c.user_id, 0
  from app.user_counters c
  where c.followers_count > app.setting('fan_out_pull_limit')
  order by c.user_id;
  get diagnostics v_rows = row_count;
  return v_rows;
end
$$;

comment on function app.seed_pull_ranges() is 'Marks the authors too large to deliver, for all of their posts; returns how many';

-- Post by post, so that the rows lie as fan-out would have left them: a reader's are far apart,
-- and benchmarks do not flatter. The two OFFSET 0 keep that order from being planned away.
create function app.seed_feeds(from_id bigint, to_id bigint)
returns bigint
language plpgsql
volatile
as $$
declare
  v_rows bigint;
begin
  insert into app.feed_entries (user_id, post_id)
  select f.follower_id, p.id
  from (
    select p.id, p.author_id
    from app.posts p
    cross join app.feed_horizon h
    where p.id >= seed_feeds.from_id
      and p.id < seed_feeds.to_id
      and p.id >= h.post_id
      and not p.is_reply
      and not app.is_pulled(p.author_id, p.id)
    order by p.id
    offset 0
  ) p
  cross join lateral (
    select f.follower_id from app.follows f where f.followed_id = p.author_id offset 0
  ) f
  join app.feed_states s on s.user_id = f.follower_id and s.complete_from <= p.id;
  get diagnostics v_rows = row_count;
  return v_rows;
end
$$;

comment on function app.seed_feeds(bigint, bigint) is
  'Delivers the posts from from_id (inclusive) to to_id (exclusive) to active followers; returns how many rows';

create function app.seed_mutual(user_ids bigint[])
returns double precision
language sql
stable
begin atomic
  select coalesce(m.edges::double precision / nullif(2 * m.all_edges - m.edges, 0), 0)
  from (
    select
      count(*) as all_edges,
      count(*) filter (
        where exists (
          select
          from app.follows r
          where r.follower_id = f.followed_id and r.followed_id = f.follower_id
        )
      ) as edges
    from app.follows f
    where f.follower_id = any (user_ids)
  ) m;
end;

comment on function app.seed_mutual(bigint[]) is
  'Reciprocity: of the pairs in which somebody follows, the share in which both do, estimated from what these users follow';

create function app.seed_end()
returns void
language plpgsql
volatile
as $$
declare
  v_changed text;
begin
  select string_agg(coalesce(a.index_name, b.index_name), ', ')
    into v_changed
    from app.seed_indexes() a
    full join pg_temp.seed_before b
      on b.index_name = a.index_name
        and b.definition = a.definition
        and b.constraint_definition is not distinct from a.constraint_definition
    where a.index_name is null or b.index_name is null;
  if v_changed is not null then
    raise object_not_in_prerequisite_state using message = format(
      'these indexes are not what they were before the load: %s', v_changed
    );
  end if;
  perform setval(pg_get_serial_sequence('app.users', 'id'), max(u.id)) from app.users u;
  analyze app.feed_entries, app.pull_ranges;
  perform app.views_expire();
end
$$;

comment on function app.seed_end() is 'Checks that all indexes are back as they were, moves the sequence of user ids on, and has the views refreshed';

commit;
