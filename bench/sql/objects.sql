-- What only the benchmarks need: floors, the reference system's query and table, and the ways not
-- taken. Lives in the benchmark's own database, never in a stack that serves people. Run before each
-- run; safe to repeat.

create schema if not exists bench;
grant usage on schema bench to member;

-- The author with the most followers of those whose posts are delivered; chosen once.
create table if not exists bench.celebrity as
select c.user_id as id
from app.user_counters c
where c.followers_count <= (
  select s.value from app.settings s where s.name = 'fan_out_push_limit'
)
order by c.followers_count desc, c.user_id
limit 1;

-- People of each kind that benchmarks want; kinds.sql fills it.
create table if not exists bench.people (
  kind text not null,
  number integer not null,
  user_id bigint not null,
  cursor bigint,
  constraint people_pkey primary key (kind, number)
);
grant select on bench.people to member;

-- A timeline by its definition, and how long it is up to so many posts. Author by author, so that
-- asking it of thousands of people takes seconds.
create or replace function bench.timeline(reader_id bigint)
returns setof app.posts
language sql
stable
begin atomic
  select p.*
  from (
    select f.followed_id as author_id from app.follows f where f.follower_id = reader_id
    union all
    select reader_id
  ) a
  join app.posts p on p.author_id = a.author_id and not p.is_reply;
end;

create or replace function bench.timeline_length(reader_id bigint, at_most bigint)
returns bigint
language sql
stable
begin atomic
  select count(*) from (select from bench.timeline(reader_id) limit at_most) t;
end;

-- Whoever asks from here on asks as a member, as PostgREST would have it.
create or replace function bench.as_member(user_id bigint)
returns void
language plpgsql
as $$
begin
  perform
    set_config('role', 'member', true),
    set_config('microblog.user_id', as_member.user_id::text, true),
    set_config('request.path', '/rpc/feed_timeline', true);
end
$$;

-- The floor of a feed page over HTTP: 20 rows of the same shape and size, read from nowhere.
create or replace function api.bench_constant()
returns setof app.page_post
language sql
stable
begin atomic
  select
    1000000000000::bigint + n,
    'Post number ' || n || ' says ' || repeat('something or other ', 5) || 'and ends.',
    now(),
    null::bigint,
    0,
    json_build_object('id', 10000, 'username', 'user_10000')
  from generate_series(1, 20) n;
end;
alter function api.bench_constant() owner to microblog_owner;
revoke execute on function api.bench_constant() from public;
grant execute on function api.bench_constant() to member;
comment on function api.bench_constant() is 'A constant answer of a page''s size';

-- The way not taken (decision 0020): each reader's first page kept ready in the database.
create unlogged table if not exists bench.kept_pages (
  user_id bigint primary key,
  page json not null
);
grant select on bench.kept_pages to member;
create or replace function api.bench_kept_page()
returns json
language sql
stable
begin atomic
  select k.page from bench.kept_pages k where k.user_id = app.current_user_id();
end;
alter function api.bench_kept_page() owner to microblog_owner;
grant select on bench.kept_pages to microblog_owner;
revoke execute on function api.bench_kept_page() from public;
grant execute on function api.bench_kept_page() to member;
comment on function api.bench_kept_page() is 'A page of one''s timeline that was kept';

-- The floor of a profile over HTTP: one row of the same columns and about the same size.
create or replace function api.bench_profile()
returns table (
  id bigint,
  username text,
  description text,
  created_at timestamptz,
  followers_count bigint,
  following_count bigint,
  posts_count bigint
)
language sql
stable
begin atomic
  select 1::bigint, 'user_1'::text, ''::text, now(), 1026999::bigint, 46::bigint, 10::bigint;
end;
alter function api.bench_profile() owner to microblog_owner;
revoke execute on function api.bench_profile() from public;
grant execute on function api.bench_profile() to member;
comment on function api.bench_profile() is 'A constant answer of a profile''s size';

-- The pull query of the system this replaces, as its documents print it.
create or replace function bench.pull(reader_id bigint)
returns setof app.posts
language sql
stable
begin atomic
  select distinct p.*
  from app.posts p
  left join app.follows f on p.author_id = f.followed_id and f.follower_id = reader_id
  where p.author_id = reader_id or f.followed_id is not null
  order by p.id desc
  limit 20;
end;
grant execute on function bench.pull(bigint) to member;

-- The same over HTTP, for whoever asks.
create or replace function api.bench_pull()
returns setof app.posts
language sql
stable
begin atomic
  select p.* from bench.pull(app.current_user_id()) p;
end;
revoke execute on function api.bench_pull() from public;
grant execute on function api.bench_pull() to member;
comment on function api.bench_pull() is 'The reference system''s pull query';

-- Where a floor of writing puts its rows: one table, one index, no rule.
create table if not exists bench.notes (
  id bigint generated always as identity primary key,
  author_id bigint not null default app.current_user_id(),
  content text not null
);
grant insert on bench.notes to member;

create or replace function api.bench_note(content text)
returns void
language sql
volatile
begin atomic
  insert into bench.notes (content) values (bench_note.content);
end;
revoke execute on function api.bench_note(text) from public;
grant execute on function api.bench_note(text) to member;
comment on function api.bench_note(text) is 'A row into a bare table';

-- A post of the made-up author with 100,000 active followers (kinds.sql). Without triggers, so that
-- what is measured is the only delivery of the post.
create or replace function bench.new_post()
returns bigint
language sql
volatile
set session_replication_role = replica
begin atomic
  insert into app.posts (author_id, content)
  select p.user_id, 'To many.' from bench.people p where p.kind = 'crowd'
  returning id;
end;

-- One chunk of fan-out (5,000 followers) of a new post, and the bare statement it contains. Callers
-- roll back, so that the data stays as it was.
create or replace procedure bench.chunk()
language plpgsql
as $$
begin
  perform app.job_fan_out(
    jsonb_build_object('post_id', bench.new_post(), 'author_id', p.user_id), null
  )
  from bench.people p
  where p.kind = 'crowd';
end
$$;

create or replace procedure bench.chunk_floor()
language plpgsql
as $$
declare
  v_post_id constant bigint := bench.new_post();
begin
  insert into app.feed_entries (user_id, post_id)
  select f.follower_id, v_post_id
  from app.follows f
  where f.followed_id = (select p.user_id from bench.people p where p.kind = 'crowd')
  order by f.follower_id
  limit 5000;
end
$$;

-- The whole delivery of a post, committed: as a worker does it, a job in chunks, each claimed, run in a
-- subtransaction of its own and recorded (the stack's worker is paused meanwhile, see the scenario);
-- and in one bare statement. An error where a chunk leaves no record in app.jobs.
create or replace procedure bench.fan_out_worked()
language plpgsql
as $$
declare
  v_author_id constant bigint := (select p.user_id from bench.people p where p.kind = 'crowd');
  v_job_id constant bigint := app.job_add(
    'fan_out', jsonb_build_object('post_id', bench.new_post(), 'author_id', v_author_id)
  );
  v_before bigint := 0;
  v_progress bigint;
  v_chunks bigint := 0;
  v_done integer;
begin
  commit;
  loop
    -- Its turn may first be that of jobs that the schedule queued.
    if app.job_work('bench') is distinct from 'fan_out' then
      commit;
      continue;
    end if;
    commit;
    select j.progress, j.chunks into v_progress, v_done from app.jobs j where j.id = v_job_id;
    exit when not found;
    v_chunks := v_chunks + 1;
    if v_progress <= v_before or v_done <> v_chunks then
      raise exception 'chunk % of job % recorded % and % chunks', v_chunks, v_job_id, v_progress, v_done;
    end if;
    v_before := v_progress;
  end loop;
end
$$;

create or replace procedure bench.fan_out_bare()
language plpgsql
as $$
declare
  v_post_id constant bigint := bench.new_post();
begin
  insert into app.feed_entries (user_id, post_id)
  select f.follower_id, v_post_id
  from app.follows f
  where f.followed_id = (select p.user_id from bench.people p where p.kind = 'crowd');
end
$$;

-- The table that the reference system's documents propose for the same, with its indexes.
create table if not exists bench.chunk_entries (
  id bigint generated always as identity primary key,
  user_id bigint not null,
  post_id bigint not null,
  author_id bigint not null,
  created_at timestamptz not null
);
create index if not exists chunk_entries_user_id_created_at_idx
  on bench.chunk_entries (user_id, created_at desc);
create unique index if not exists chunk_entries_user_id_post_id_idx
  on bench.chunk_entries (user_id, post_id);
create index if not exists chunk_entries_post_id_idx on bench.chunk_entries (post_id);

create or replace procedure bench.chunk_reference()
language plpgsql
as $$
declare
  v_post_id constant bigint := bench.new_post();
begin
  insert into bench.chunk_entries (user_id, post_id, author_id, created_at)
  select f.follower_id, v_post_id, f.followed_id, now()
  from app.follows f
  where f.followed_id = (select p.user_id from bench.people p where p.kind = 'crowd')
  order by f.follower_id
  limit 5000;
end
$$;

-- Ends a session and starts another, as logout and login without a password.
create or replace function bench.session_renew(user_id bigint, jti text)
returns text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_jti text;
begin
  delete from app.sessions s where s.jti = session_renew.jti;
  insert into app.sessions (user_id, expires_at)
    values (session_renew.user_id, now() + interval '1 day')
    returning sessions.jti into v_jti;
  return v_jti;
end
$$;
grant execute on function bench.session_renew(bigint, text) to member;

-- A check of the Twip mix, as the rivals have it: who asks and the newest twenty in one call, their
-- texts and their authors' names. By the function that gathers every page; what HTTP adds to it (counts
-- of replies, times, cursor, tag) no rival answers either.
create or replace function bench.check_page(reader_id bigint)
returns text
language plpgsql
volatile
as $$
begin
  perform set_config('microblog.user_id', reader_id::text, false);
  return (
    select coalesce(
      json_agg(
        json_build_object(
          'id', t.id,
          'content', t.content,
          'author', json_build_object('id', t.author_id, 'username', t.username)
        )
      ),
      '[]'
    )
    from (
      select r.id, r.content, r.author_id, r.username from app.feed_rows(null, 20, true) r limit 20
    ) t
  )::text;
end
$$;
grant execute on function bench.check_page(bigint) to member;

-- The posts of a page, as a member gets it.
create or replace function bench.page_ids(reader_id bigint, cursor bigint)
returns bigint[]
language plpgsql
as $$
declare
  v_ids bigint[];
begin
  perform bench.as_member(reader_id);
  v_ids := array(select t.id from api.feed_timeline(page_ids.cursor::text) t);
  perform set_config('role', 'none', true);
  return v_ids;
end
$$;

-- What is wrong with a page, by ids: null where it is the newest twenty of what the reader follows and
-- wrote; with replies, as the reference system's query has them, or without.
create or replace function bench.page_problem(
  what text, reader_id bigint, cursor bigint, with_replies boolean, ids bigint[]
)
returns text
language sql
stable
begin atomic
  select format('%s of user %s: %s, not %s', what, reader_id, coalesce(page_problem.ids::text, 'none'), d.ids)
  from (
    select array(
      select p.id
      from (
        select f.followed_id as author_id from app.follows f where f.follower_id = reader_id
        union all
        select reader_id
      ) a
      join app.posts p on p.author_id = a.author_id
      where (with_replies or not p.is_reply) and (page_problem.cursor is null or p.id < page_problem.cursor)
      order by p.id desc
      limit 20
    ) as ids
  ) d
  where page_problem.ids is distinct from d.ids;
end;

-- What is wrong with a delivery that scripts roll back: made once more, its rows compared with those of
-- the author's active followers, the first "most" in the order of ids, and rolled back as well.
create or replace function bench.delivery_problem(
  delivery text, author_id bigint, most bigint, entries regclass
)
returns text
language plpgsql
as $$
declare
  v_post_id bigint;
  v_wanted bigint;
  v_missing bigint;
  v_surplus bigint;
begin
  begin
    execute delivery;
    select p.id
      into v_post_id
      from app.posts p
      where p.author_id = delivery_problem.author_id
      order by p.id desc
      limit 1;
    execute format(
      'select count(w.user_id), count(*) filter (where e.user_id is null),
         count(*) filter (where w.user_id is null)
       from (
         select f.follower_id as user_id
         from (
           select o.follower_id from app.follows o where o.followed_id = $1
           order by o.follower_id limit $2
         ) f
         join app.feed_states s on s.user_id = f.follower_id and s.delivered_from <= $3
       ) w
       full join (select n.user_id from %s n where n.post_id = $3) e on e.user_id = w.user_id',
      entries
    )
      into v_wanted, v_missing, v_surplus
      using author_id, most, v_post_id;
    raise exception using errcode = 'BENCH';
  exception
    when sqlstate 'BENCH' then null;
  end;
  return case
    when v_wanted = 0 then delivery || ': no active follower'
    when v_missing + v_surplus > 0 then format(
      '%s: %s of %s timelines lack the post, %s others have it', delivery, v_missing, v_wanted, v_surplus
    )
  end;
end
$$;

-- The same for each author of the kind crowd, five thousand rows at most.
create or replace function bench.chunk_problems(delivery text, entries regclass)
returns setof text
language plpgsql
as $$
begin
  return query
    select problem
    from bench.people p
    cross join lateral bench.delivery_problem(delivery, p.user_id, 5000, entries) as problem
    where p.kind = 'crowd' and problem is not null
    union all
    select 'nobody is of the kind crowd'
    where not exists (select from bench.people p where p.kind = 'crowd');
end
$$;

-- Five readers of each kind that a side's scripts draw from, whose pages are compared; with a problem, and
-- no reader, for a kind that nobody is of, and where no kind is drawn from.
create or replace function bench.readers_compared(kinds text[])
returns table (kind text, user_id bigint, cursor bigint, problem text)
language plpgsql
stable
as $$
begin
  return query
    select null, null::bigint, null::bigint, 'no kind is drawn from'
    where cardinality(kinds) = 0
    union all
    select k.kind, null, null, 'nobody is of the kind ' || k.kind
    from unnest(kinds) as k (kind)
    where not exists (select from bench.people p where p.kind = k.kind)
    union all
    select r.kind, r.user_id, r.cursor, null
    from (
      select
        p.kind, p.user_id, p.cursor,
        row_number() over (partition by p.kind order by hashint8(p.user_id), p.user_id) as number
      from bench.people p
      where p.kind = any (kinds)
    ) r
    where r.number <= 5;
end
$$;

-- The first user from an id on whose timeline is kept, after the last one the first of all. As whoever
-- owns it, since a member sees no states but their own.
create or replace function bench.reader_from(first_id bigint)
returns bigint
language sql
stable
security definer
begin atomic
  select coalesce(
    (
      select s.user_id
      from app.feed_states s
      where s.user_id >= first_id and s.complete_from = 0
      order by s.user_id
      limit 1
    ),
    (select s.user_id from app.feed_states s where s.complete_from = 0 order by s.user_id limit 1)
  );
end;

-- How a new post of one author reaches its readers, step by step: who posts, and whether a reader
-- sees it. bench/sql/strategies.sql has the same for the ways not taken.
create or replace function bench.post(author_id bigint)
returns bigint
language plpgsql
as $$
declare
  v_id bigint;
begin
  perform bench.as_member(author_id);
  insert into api.posts (content) values ('Who sees this, and when?') returning id into v_id;
  return v_id;
end
$$;

create or replace function bench.sees(reader_id bigint, post_id bigint)
returns boolean
language plpgsql
as $$
begin
  perform bench.as_member(reader_id);
  return exists (select from api.feed_timeline() t where t.id = sees.post_id);
end
$$;
