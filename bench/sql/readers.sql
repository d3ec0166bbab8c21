-- Up to a hundred readers of each of some numbers of follows, of whom timelines are kept, and five authors
-- of each of some numbers of active followers: those nearest to it. A hundred numbers each: where there
-- are fewer readers, they come again. Made once, after kinds.sql; anew where there are but ten numbers, as
-- former versions had it.

do $$
declare
  v_active numeric;
begin
  if to_regclass('bench.readers') is not null then
    if exists (select from bench.readers r where r.number = 100) then
      return;
    end if;
    drop table bench.readers, bench.authors;
  end if;

  create table bench.readers (
    follows integer not null,
    number integer not null,
    user_id bigint not null,
    primary key (follows, number)
  );
  grant select on bench.readers to member;
  insert into bench.readers (follows, number, user_id)
  with near as (
    select
      size.follows,
      c.user_id,
      row_number() over (
        partition by size.follows
        order by abs(ln(c.following_count::numeric / size.follows)), c.user_id
      ) as number
    from unnest(array[10, 30, 100, 300, 1000, 5000]) as size (follows)
    join app.user_counters c
      on c.following_count between size.follows * 0.8 and size.follows * 1.25
    join app.feed_states s on s.user_id = c.user_id and s.complete_from = 0
  ),
  there as (
    select n.follows, least(count(*), 100) as readers from near n group by n.follows
  )
  select n.follows, again.number, n.user_id
  from there t
  cross join generate_series(1, 100) as again (number)
  join near n on n.follows = t.follows and n.number = 1 + (again.number - 1) % t.readers;

  create table bench.authors (
    followers integer not null,
    number integer not null,
    user_id bigint not null,
    primary key (followers, number)
  );
  -- A post costs by the active followers, and these are counted of the thirty authors only who
  -- should be nearest, were each author's followers as active as all users.
  select greatest(avg((s.delivered_from < 9007199254740992)::integer), 0.01) into v_active
  from app.feed_states s;
  insert into bench.authors (followers, number, user_id)
  select size.followers, near.number, near.user_id
  from unnest(array[100, 300, 1000, 3000, 10000, 30000]) as size (followers)
  cross join lateral (
    select
      a.user_id,
      row_number() over (order by abs(ln(a.active::numeric / size.followers)), a.user_id) as number
    from (
      select candidate.user_id, count(*) as active
      from (
        select c.user_id
        from app.user_counters c
        where c.followers_count between size.followers * 0.5 and size.followers * 2 / v_active
        order by abs(ln(c.followers_count * v_active / size.followers)), c.user_id
        limit 30
      ) candidate
      join app.follows f on f.followed_id = candidate.user_id
      join app.feed_states s
        on s.user_id = f.follower_id and s.delivered_from < 9007199254740992
      group by candidate.user_id
    ) a
    where a.active between size.followers * 0.8 and size.followers * 1.25
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
