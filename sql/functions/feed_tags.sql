-- Deploy microblog:functions/feed_tags to pg
-- requires: functions/page_tag
-- requires: functions/feed_page
--
-- The rows of a page as its tag knows them, read with less work than the page itself: enough to say
-- that a client has the page already (functions/feed_answer).

begin;
set local role microblog_owner;

-- Posts and authors are looked up as in app.feed_rows, for what may have changed of them alone. Runs
-- with the owner's rights, whom row security does not bind: hence deleted_at. The answer is null where
-- an entry's post or author is gone, because another row is on the page then, and where counters of
-- posts may be under way (app.post_counter_deltas).
create function app.feed_tag_rows(top bigint, "rows" integer, with_own boolean)
returns text
language plpgsql
stable
set plan_cache_mode = force_generic_plan
as $$
declare
  v_next record := app.feed_ids(top, "rows", with_own);
begin
  -- A page that is not full goes on below the horizon, if there is one (app.feed_below).
  if cardinality(v_next.ids) < "rows" and v_next.horizon > 0 then
    return null;
  end if;
  return (
    select case
      when count(*) = cardinality(v_next.ids)
        and (min(r.id) <= (select max(d.post_id) from app.post_counter_deltas d)) is not true
        then coalesce(
          string_agg(app.page_tag_row(r.id, r.replies_count, r.author_id, r.username), ';'), ''
        )
    end
    from (
      select p.id, p.replies_count, u.id as author_id, u.username
      from unnest(v_next.ids) n (id)
      cross join lateral (
        select p.id, p.replies_count, p.author_id from app.posts p where p.id = n.id offset 0
      ) p
      join app.users u on u.id = p.author_id and u.deleted_at is null
      order by p.id desc
    ) r
  );
end
$$;

comment on function app.feed_tag_rows(bigint, integer, boolean) is
  'The newest rows older than top of the timeline of app.current_user_id() as its tag knows them; null where that takes more than this looks at';

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
