-- What only the benchmarks need: floors, the reference system's query, and the ways not taken.
-- Lives in the benchmark's own database, never in a stack that serves people.

begin;

create schema if not exists bench;
grant usage on schema bench to member;

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
grant execute on function api.bench_constant() to member;

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

-- Somebody with 20,000 followers, for fan-out in chunks: not user 1, whose follows are measured too,
-- and who must not come to have hundreds of posts to bring to each follower.
insert into app.follows (follower_id, followed_id)
select u.id, 2 from app.users u where u.id <> 2
on conflict do nothing;

-- One chunk of fan-out (5,000 followers) of a new post, and the bare statement it contains.
-- Without triggers, so that the chunk measured is the only delivery of the post.
create or replace function bench.new_post()
returns bigint
language sql
volatile
set session_replication_role = replica
begin atomic
  insert into app.posts (author_id, content) values (2, 'To many.') returning id;
end;

create or replace procedure bench.chunk()
language plpgsql
as $$
begin
  perform app.job_fan_out(jsonb_build_object('post_id', bench.new_post(), 'author_id', 2), null);
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
  where f.followed_id = 2
  order by f.follower_id
  limit 5000;
end
$$;

commit;
