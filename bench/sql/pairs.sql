-- Follows that there are, 2,000 each, for those who end one and begin it again: "one" of the author
-- with the most followers, "many" of the twenty next whose posts reach their followers in the same way
-- (merged in, or delivered), so that each call does the same work: it deletes a row, with the entries
-- it brought, and inserts it again. The followers' timelines are kept. Where there are fewer, some
-- come again. Made once.

do $$
declare
  v_one constant bigint := (select p.user_id from bench.people p where p.kind = 'largest');
begin
  if to_regclass('bench.pairs') is not null then
    return;
  end if;

  create table bench.pairs (
    kind text not null,
    number integer not null,
    follower_id bigint not null,
    followed_id bigint not null,
    constraint pairs_pkey primary key (kind, number)
  );

  insert into bench.pairs (kind, number, follower_id, followed_id)
  select d.kind, n.number, d.follower_id, d.followed_id
  from (
    select
      a.kind,
      f.follower_id,
      f.followed_id,
      row_number() over (partition by a.kind order by hashint8(f.follower_id), f.followed_id) as place,
      count(*) over (partition by a.kind) as there
    from (
      select 'one' as kind, v_one as user_id
      union all
      select 'many', m.user_id
      from (
        select c.user_id
        from app.user_counters c
        where c.user_id <> v_one
          and c.user_id not in (select p.user_id from bench.people p where p.kind = 'crowd')
          and (app.pull_from(c.user_id) = 9007199254740992)
            = (app.pull_from(v_one) = 9007199254740992)
        order by c.followers_count desc, c.user_id
        limit 20
      ) m
    ) a
    cross join lateral (
      select f.follower_id, f.followed_id
      from app.follows f
      join app.feed_states s on s.user_id = f.follower_id and s.delivered_from = 0
      where f.followed_id = a.user_id
      limit 2000
    ) f
  ) d
  join generate_series(1, 2000) as n (number)
    on n.number % least(d.there, 2000) = d.place - 1;
end
$$;

analyze bench.pairs;
