-- Deploy microblog:functions/seed_floor to pg
-- requires: functions/seed_load
--
-- What a seeding is measured against: the same rows in plain tables, without constraints and
-- triggers, then the same indexes, committed and vacuumed as a seeding is. The caller calls
-- app.seed_floor_end afterwards.

begin;
set local role microblog_owner;

create function app.seed_floor_end()
returns void
language plpgsql
volatile
set client_min_messages = warning
as $$
begin
  drop table if exists app.seed_floor_users, app.seed_floor_posts, app.seed_floor_follows;
end
$$;

comment on function app.seed_floor_end() is 'Drops what app.seed_floor_begin made';

create function app.seed_floor_begin()
returns void
language plpgsql
volatile
as $$
begin
  perform app.seed_floor_end();  -- of a caller that was killed
  create table app.seed_floor_users (like app.users including defaults);
  create table app.seed_floor_posts (like app.posts including defaults);
  create table app.seed_floor_follows (like app.follows including defaults);
end
$$;

comment on function app.seed_floor_begin() is
  'Makes app.seed_floor_users, app.seed_floor_posts and app.seed_floor_follows, without indexes';

create function app.seed_floor_index(number integer)
returns text
language plpgsql
volatile
as $$
declare
  v_index record;
begin
  select
    x.relname as name,
    t.relname as table_name,
    i.indisunique,
    substring(pg_get_indexdef(i.indexrelid) from ' USING .*') as definition
  into v_index
  from pg_index i
  join pg_class x on x.oid = i.indexrelid
  join pg_class t on t.oid = i.indrelid
  where i.indrelid in ('app.users'::regclass, 'app.posts'::regclass, 'app.follows'::regclass)
  order by t.relname, x.relname
  offset number - 1
  limit 1;
  if not found then
    return null;
  end if;
  execute format(
    'create %s index on app.%I%s',
    case when v_index.indisunique then 'unique' else '' end,
    'seed_floor_' || v_index.table_name, v_index.definition
  );
  return v_index.name;
end
$$;

comment on function app.seed_floor_index(integer) is
  'Builds the number-th (from 1) of the indexes of app.users, app.posts and app.follows on the floor''s tables; returns its name, null after the last';

commit;
