-- Deploy microblog:functions/import_graph to pg
-- requires: triggers/users_lifecycle
-- requires: triggers/follows_backfill
-- requires: triggers/follows_counters
-- requires: functions/job_views_refresh
--
-- A follower graph from outside, in three steps of one connection: app.import_stage makes room,
-- COPY fills it, app.import_graph makes users and follows of it in one transaction. The triggers
-- of every other write keep counters and feeds, so it works on a live database as on an empty one.
--
-- Invoker rights, for nobody but the owner: the staging tables belong to whoever calls.

begin;
set local role microblog_owner;

create function app.import_stage()
returns void
language plpgsql
volatile
as $$
begin
  create temp table import_members (
    node bigint not null,
    line bigint not null,
    username text collate app.ignore_case not null
  );
  create temp table import_edges (
    line bigint not null,
    follower bigint not null,
    followed bigint not null
  );
end
$$;

comment on function app.import_stage() is
  'Makes the temporary tables import_members (node from 0, line of the file, username) and import_edges (line, node that follows, node followed) of this connection, for COPY';

-- What only the whole of the files tells, and the rules of usernames, which belong here.
create function app.import_problem()
returns table (source text, line bigint, problem text)
language plpgsql
stable
as $$
declare
  v_members constant bigint := (select count(*) from pg_temp.import_members);
begin
  return query
  select p.source, p.line, p.problem
  from (
    select
      'members' as source,
      m.line,
      format(
        '%s is no username; expected 1 to 50 of the characters A–Z, a–z, 0–9 and _',
        to_json(left(m.username, 60))
      ) as problem
    from pg_temp.import_members m
    where m.username collate "C" !~ '^[A-Za-z0-9_]{1,50}$'
    union all
    select
      'members',
      m.line,
      format(
        'the username %s is in line %s already; expected each once, whatever the case',
        m.username, m.first_line
      )
    from (
      select x.line, x.username, min(x.line) over (partition by x.username) as first_line
      from pg_temp.import_members x
    ) m
    where m.line > m.first_line
    union all
    select
      'edges',
      e.line,
      format('there is no node %s; expected %s',
        case when e.follower >= v_members then e.follower else e.followed end,
        case v_members when 0 then 'none, for there are no members'
          else format('0 to %s, the rows of the members', v_members - 1) end
      )
    from pg_temp.import_edges e
    where e.follower >= v_members or e.followed >= v_members
    union all
    select
      'edges',
      e.line,
      format('node %s follows itself; expected two different nodes', e.follower)
    from pg_temp.import_edges e
    where e.follower = e.followed
  ) p
  order by p.source desc, p.line
  limit 1;
end
$$;

comment on function app.import_problem() is
  'The first line of what was staged that cannot be imported, members before edges; no row if all can';

-- Locks, in this order: users by id (held against deletion), follows as they are inserted, the
-- authors' lock (follower side, for all at once), counters (which never wait), and at last
-- app.view_refreshes, which a refresh may hold for a moment. An import that loses a deadlock, or a
-- user to a deletion, has changed nothing and is run again.
create function app.import_graph()
returns table (users_made bigint, follows_made bigint)
language plpgsql
volatile
as $$
declare
  v_known bigint;
begin
  analyze pg_temp.import_members, pg_temp.import_edges;

  insert into app.users (username)
  select m.username
  from pg_temp.import_members m
  order by m.node
  on conflict (username) where deleted_at is null do nothing;
  get diagnostics users_made = row_count;

  perform
    from app.users u
    join pg_temp.import_members m on m.username = u.username
    where u.deleted_at is null
    order by u.id
    for key share of u;
  get diagnostics v_known = row_count;
  if v_known < (select count(*) from pg_temp.import_members) then
    raise serialization_failure using message = 'a user was deleted during the import';
  end if;

  with ids as materialized (
    select m.node, u.id
    from pg_temp.import_members m
    join app.users u on u.username = m.username and u.deleted_at is null
  )
  insert into app.follows (follower_id, followed_id)
  select f.id, t.id
  from pg_temp.import_edges e
  join ids f on f.node = e.follower
  join ids t on t.node = e.followed
  order by f.id, t.id
  on conflict on constraint follows_pkey do nothing;
  get diagnostics follows_made = row_count;

  perform app.views_expire();
  return next;
end
$$;

comment on function app.import_graph() is
  'Makes the staged users and follows that are not there yet. Returns how many of each are new; those there already stay as they are';

commit;
