-- Ten readers of each of some numbers of follows, and five authors of each of some numbers of
-- followers: those nearest to it, of whom timelines are kept. Made once.

do $$
begin
  if to_regclass('bench.readers') is not null then
    return;
  end if;

  create table bench.readers (
    follows integer not null,
    number integer not null,
    user_id bigint not null,
    primary key (follows, number)
  );
  grant select on bench.readers to member;
  insert into bench.readers (follows, number, user_id)
  select size.follows, near.number, near.user_id
  from unnest(array[10, 30, 100, 300, 1000, 5000]) as size (follows)
  cross join lateral (
    select
      c.user_id,
      row_number() over (order by abs(ln(c.following_count::numeric / size.follows)), c.user_id)
        as number
    from app.user_counters c
    join app.feed_states s on s.user_id = c.user_id and s.complete_from = 0
    where c.following_count between size.follows * 0.8 and size.follows * 1.25
  ) near
  where near.number <= 10;

  create table bench.authors (
    followers integer not null,
    number integer not null,
    user_id bigint not null,
    primary key (followers, number)
  );
  insert into bench.authors (followers, number, user_id)
  select size.followers, near.number, near.user_id
  from unnest(array[100, 300, 1000, 3000, 10000]) as size (followers)
  cross join lateral (
    select
      c.user_id,
      row_number() over (order by abs(ln(c.followers_count::numeric / size.followers)), c.user_id)
        as number
    from app.user_counters c
    where c.followers_count between size.followers * 0.8 and size.followers * 1.25
  ) near
  where near.number <= 5;
  analyze bench.readers, bench.authors;
end
$$;

-- A post of the n-th such author (of as many as there are), delivered to all followers chunk by
-- chunk. Callers roll back.
create or replace procedure bench.fan_out(followers integer, n integer)
language plpgsql
as $$
declare
  v_author_id bigint;
  v_post_id bigint;
  v_progress bigint;
begin
  select a.user_id into strict v_author_id
  from bench.authors a
  where a.followers = fan_out.followers
  order by a.number
  limit 1 offset n % (select count(*) from bench.authors b where b.followers = fan_out.followers);
  set local session_replication_role = replica;
  insert into app.posts (author_id, content) values (v_author_id, 'To some.')
  returning id into v_post_id;
  set local session_replication_role = origin;
  loop
    v_progress := app.job_fan_out(
      jsonb_build_object('post_id', v_post_id, 'author_id', v_author_id), v_progress
    );
    exit when v_progress is null;
  end loop;
end
$$;
