-- Deploy microblog:functions/feed_tags to pg
-- requires: functions/page_tag
-- requires: functions/feed_page
--
-- The rows of a page as its tag knows them, read with less work than the page itself: enough to say
-- that a client has the page already (functions/feed_answer).

begin;
set local role microblog_owner;

-- Which posts are on the page follows the same rules as in app.feed_rows, but for what lies below
-- the horizon. Posts and authors are looked up for what may have changed of them alone.
--
-- Runs with the owner's rights, whom row security does not bind: hence the reader's id, and
-- deleted_at. An entry whose post or author is gone is not on the page, and another row is; where
-- there is one, the answer is null.
create function app.feed_tag_rows(user_id bigint, top bigint, "rows" integer, with_own boolean)
returns text
language plpgsql
stable
as $$
declare
  v_horizon bigint;
  v_ids bigint[];
  v_followed bigint[];
  v_merged bigint[];
begin
  select
      greatest(h.post_id, s.complete_from),
      array(
        select e.post_id
        from app.feed_entries e
        where e.user_id = feed_tag_rows.user_id
          and e.post_id < top
          and e.post_id >= greatest(h.post_id, s.complete_from)
        order by e.post_id desc
        limit "rows"
      ),
      array(
        select f.followed_id from app.follows f where f.follower_id = feed_tag_rows.user_id limit 101
      )
    into v_horizon, v_ids, v_followed
    from app.feed_horizon h
    cross join app.feed_states s
    where s.user_id = feed_tag_rows.user_id;

  v_merged := array(
    select p.id
    from (
      select feed_tag_rows.user_id as author_id, 0::bigint as from_id, 9007199254740992 as to_id
      where with_own
      union all
      select r.author_id, r.from_id, r.to_id
      from app.pull_ranges r
      where case
        when cardinality(v_followed) <= 100 then r.author_id = any (v_followed)
        else (
          select true
          from app.follows f
          where f.follower_id = feed_tag_rows.user_id and f.followed_id = r.author_id
        )
      end
    ) m
    cross join lateral (
      select p.id
      from app.posts p
      where p.author_id = m.author_id
        and not p.is_reply
        and p.id < least(top, m.to_id)
        and p.id >= greatest(m.from_id, coalesce(v_ids["rows"], v_horizon))
      order by p.id desc
      limit "rows"
    ) p
  );
  if cardinality(v_merged) > 0 then
    v_ids := array(
      select i.id from unnest(v_ids || v_merged) i (id) order by i.id desc limit "rows"
    );
  end if;

  -- A page that is not full goes on below the horizon, if there is one (app.feed_below).
  if cardinality(v_ids) < "rows" and v_horizon > 0 then
    return null;
  end if;
  return (
    select case
      when count(*) = cardinality(v_ids) then
        concat(
          string_agg(
            app.page_tag_row(p.id, p.replies_count, u.id, u.username), ';' order by p.id desc
          ),
          case
            when min(p.id) <= (select max(d.post_id) from app.post_counter_deltas d) then (
              select string_agg(concat(d.post_id, ' ', d.id), ';' order by d.post_id, d.id)
              from app.post_counter_deltas d
              where d.post_id = any (v_ids)
            )
          end
        )
    end
    from app.posts p
    join app.users u on u.id = p.author_id and u.deleted_at is null
    where p.id = any (v_ids)
  );
end
$$;

comment on function app.feed_tag_rows(bigint, bigint, integer, boolean) is
  'The newest rows older than top of a timeline as its tag knows them; null where that takes more than this looks at';

-- The same for pages of cards, in the words of api.feed_mine (with the id of the author) and
-- api.feed_public (null): they change together. Here too an author whose account is closed has no name
-- any more, which row security does for readers.
create function app.feed_tag_cards(author_id bigint, top bigint, "rows" integer)
returns text
language plpgsql
stable
as $$
declare
  v_ids bigint[];
begin
  if author_id is null then
    v_ids := array(
      select p.id
      from app.posts p
      where not p.is_reply and p.id < top
      order by p.id desc
      limit "rows"
    );
  else
    v_ids := array(
      select p.id
      from app.posts p
      where p.author_id = feed_tag_cards.author_id and p.id < top
      order by p.id desc
      limit "rows"
    );
  end if;
  return (
    select coalesce(
      string_agg(
        concat(
          p.id, ',', p.parent_id, ',',
          p.replies_count + case
            when p.id <= (select max(d.post_id) from app.post_counter_deltas d)
              then coalesce(
                (select sum(d.replies) from app.post_counter_deltas d where d.post_id = p.id), 0
              )
            else 0
          end,
          ',', case when u.id is not null then json_build_object('id', u.id, 'username', u.username) end
        ),
        ';' order by p.id desc
      ),
      ''
    )
    from app.posts p
    left join app.users u on u.id = p.author_id and u.deleted_at is null
    where p.id = any (v_ids)
  );
end
$$;

comment on function app.feed_tag_cards(bigint, bigint, integer) is
  'The newest posts older than top, of an author or (null) the top-level ones of everybody, as the tags of their pages know them';

commit;
