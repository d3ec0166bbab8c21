-- Deploy microblog:functions/feed_deliver to pg
-- requires: schema/feed_states
-- requires: schema/feed_entries
-- requires: schema/follows

begin;
set local role microblog_owner;

-- PL/pgSQL, here and below: it keeps plans in the session. A function in SQL that cannot be inlined, and
-- one with a sub-select cannot, is planned anew for each statement that calls it.
create function app.is_pulled(author_id bigint, post_id bigint)
returns boolean
language plpgsql
stable
as $$
begin
  return exists (
    select
    from app.pull_ranges r
    where r.author_id = is_pulled.author_id
      and r.from_id <= is_pulled.post_id
      and r.to_id > is_pulled.post_id
  );
end
$$;

comment on function app.is_pulled(bigint, bigint) is 'Whether readers merge this post in, so that it is not delivered';

-- Lets a scan of an author's posts start below an open range instead of stepping through it.
create function app.pull_from(author_id bigint)
returns bigint
language plpgsql
stable
as $$
begin
  return coalesce(
    (
      select r.from_id
      from app.pull_ranges r
      where r.author_id = pull_from.author_id and r.to_id = 9007199254740992
    ),
    9007199254740992
  );
end
$$;

comment on function app.pull_from(bigint) is 'First id of an author''s open range in app.pull_ranges; 2^53 if there is none';

-- Decides an author's tier at the moment it matters, when they post: an author who has grown too
-- large is pulled from these posts on, one who has shrunk is delivered again from these posts on.
-- The bounds are post ids, so a reader gets each post from one side and never from both.
--
-- Ids are taken before the author's lock, which the caller holds: a post with a larger id may have
-- come first and have been delivered, or not. So a bound is above every post that went before.
create function app.author_tier_settle(author_id bigint, followers bigint, post_ids bigint[])
returns void
language plpgsql
volatile
as $$
declare
  v_is_open constant boolean := app.pull_from(author_id) < 9007199254740992;
  v_opens constant boolean := not v_is_open and followers > app.setting('fan_out_pull_limit');
  v_closes constant boolean :=
    v_is_open
    and followers <= app.setting('fan_out_push_limit')
    and followers <= app.setting('fan_out_pull_limit');
  v_bound bigint;
begin
  if not v_opens and not v_closes then
    return;
  end if;
  v_bound := greatest(
    (select min(n.id) from unnest(post_ids) n (id)),
    (
      select p.id + 1
      from app.posts p
      where p.author_id = author_tier_settle.author_id
        and not p.is_reply
        and p.id <> all (post_ids)
      order by p.id desc
      limit 1
    ),
    (
      select max(r.to_id)
      from app.pull_ranges r
      where r.author_id = author_tier_settle.author_id and r.to_id < 9007199254740992
    )
  );
  if v_opens then
    insert into app.pull_ranges (author_id, from_id)
    values (author_tier_settle.author_id, v_bound);
  else
    update app.pull_ranges r
      set to_id = v_bound
      where r.author_id = author_tier_settle.author_id
        and r.to_id = 9007199254740992
        and r.from_id < v_bound;
  end if;
end
$$;

comment on function app.author_tier_settle(bigint, bigint, bigint[]) is
  'Opens or closes an author''s range in app.pull_ranges at these new posts, by the number of followers';

commit;
