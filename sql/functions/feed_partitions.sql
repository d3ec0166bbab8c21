-- Deploy microblog:functions/feed_partitions to pg
-- requires: schema/feed_entries
-- requires: schema/jobs
-- requires: schema/feed_states

begin;
set local role microblog_owner;

-- Cuts months off the lower end of app.feed_entries_future until months_ahead months beyond the
-- current one have a partition of their own.
--
-- Locks app.feed_entries against everything, but only while two empty tables change places; the
-- lock_timeout makes a busy moment a retry instead of a queue of waiting readers.
create function app.feed_partitions_extend(months_ahead bigint)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
declare
  v_until constant timestamptz :=
    date_trunc('month', now(), 'UTC') + make_interval(months => months_ahead::integer);
  v_month timestamptz;
  v_from bigint;
  v_to bigint;
  v_partition text;
  v_made integer := 0;
begin
  loop
    -- FOR VALUES FROM ('889…') TO (MAXVALUE)
    select substring(pg_get_expr(c.relpartbound, c.oid) from '\d+')::bigint
      into strict v_from
      from pg_class c
      where c.oid = 'app.feed_entries_future'::regclass;
    v_month := date_trunc('month', app.post_created_at(v_from), 'UTC');
    exit when v_month > v_until;

    v_to := app.post_id_at(v_month + interval '1 month');
    v_partition := 'feed_entries_' || to_char(v_month at time zone 'UTC', '"y"YYYY"m"MM');

    alter table app.feed_entries detach partition app.feed_entries_future;
    execute format(
      'create table app.%I partition of app.feed_entries for values from (%s) to (%s)',
      v_partition, v_from, v_to
    );
    execute format(
      'comment on table app.%I is %L',
      v_partition, 'Feed entries of the posts of ' || to_char(v_month at time zone 'UTC', 'YYYY-MM')
    );
    with moved as (
      delete from app.feed_entries_future where post_id < v_to
      returning user_id, post_id
    )
    insert into app.feed_entries (user_id, post_id)
    select m.user_id, m.post_id from moved m;
    execute format(
      'alter table app.feed_entries attach partition app.feed_entries_future
         for values from (%s) to (maxvalue)',
      v_to
    );
    v_made := v_made + 1;
  end loop;
  return v_made;
end
$$;

comment on function app.feed_partitions_extend(bigint) is
  'Makes the monthly partitions of app.feed_entries up to months_ahead beyond this month; returns how many were missing';

-- Drops the months that have passed out of retention. Readers find those posts below the horizon,
-- which moves in the same transaction.
create function app.feed_partitions_drop(months_kept bigint)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
declare
  v_horizon constant bigint := app.post_id_at(
    date_trunc('month', now(), 'UTC') - make_interval(months => months_kept::integer)
  );
  v_partition record;
  v_reached bigint;
  v_dropped integer := 0;
begin
  for v_partition in
    select c.relname, substring(pg_get_expr(c.relpartbound, c.oid) from 'TO \(''(\d+)''\)')::bigint as to_id
    from pg_inherits i
    join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'app.feed_entries'::regclass and c.relname ~ '_y\d{4}m\d{2}$'
    order by to_id
  loop
    exit when v_partition.to_id > v_horizon;
    execute format('drop table app.%I', v_partition.relname);
    v_reached := v_partition.to_id;
    v_dropped := v_dropped + 1;
  end loop;

  if v_dropped > 0 then
    update app.feed_horizon h set post_id = v_reached where h.post_id < v_reached;
    drop table app.feed_entries_past;
    execute format(
      'create table app.feed_entries_past partition of app.feed_entries
         for values from (minvalue) to (%s)',
      v_reached
    );
    comment on table app.feed_entries_past is 'Entries older than the first month; normally empty';
    delete from app.pull_ranges r where r.to_id <= v_reached;
  end if;
  return v_dropped;
end
$$;

comment on function app.feed_partitions_drop(bigint) is
  'Drops the monthly partitions of app.feed_entries older than months_kept before this month, and moves the horizon; returns how many';

create function app.job_feed_partitions(args jsonb, progress bigint)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform app.feed_partitions_extend(app.setting('feed_partitions_ahead'));
  perform app.feed_partitions_drop(app.setting('feed_retention'));
  return null;
end
$$;

comment on function app.job_feed_partitions(jsonb, bigint) is 'Job: makes partitions of app.feed_entries ahead of time and drops those past retention';

insert into app.job_schedules (kind, every, description) values
  ('feed_partitions', interval '1 hour', 'Make the coming months'' partitions of app.feed_entries, drop those past retention');

select app.feed_partitions_extend(app.setting('feed_partitions_ahead'));

commit;
