-- Deploy microblog:functions/feed_deliver to pg
-- requires: schema/feed_states
-- requires: schema/feed_entries
-- requires: schema/follows

begin;
set local role microblog_owner;

create function app.is_pulled(author_id bigint, post_id bigint)
returns boolean
language sql
stable
begin atomic
  select exists (
    select
    from app.pull_ranges r
    where r.author_id = is_pulled.author_id
      and r.from_id <= is_pulled.post_id
      and r.to_id > is_pulled.post_id
  );
end;

comment on function app.is_pulled(bigint, bigint) is 'Whether readers merge this post in, so that it is not delivered';

-- Lets a scan of an author's posts start below an open range instead of stepping through it.
create function app.pull_from(author_id bigint)
returns bigint
language sql
stable
begin atomic
  select coalesce(
    (
      select r.from_id
      from app.pull_ranges r
      where r.author_id = pull_from.author_id and r.to_id = 9007199254740992
    ),
    9007199254740992
  );
end;

comment on function app.pull_from(bigint) is 'First id of an author''s open range in app.pull_ranges; 2^53 if there is none';

-- Decides an author's tier at the moment it matters, when they post: an author who has grown too
-- large is pulled from this post on, one who has shrunk is delivered again from this post on. The
-- bounds are post ids, so a reader gets each post from one side and never from both. The caller
-- holds the author's lock.
create function app.author_tier_settle(author_id bigint, followers bigint, post_id bigint)
returns void
language plpgsql
volatile
as $$
begin
  if followers > app.setting('fan_out_pull_limit') then
    insert into app.pull_ranges (author_id, from_id)
    select settle.author_id, settle.post_id
    from (values (author_tier_settle.author_id, author_tier_settle.post_id)) as settle (author_id, post_id)
    where not exists (
      select
      from app.pull_ranges r
      where r.author_id = settle.author_id and r.to_id = 9007199254740992
    );
  elsif followers <= app.setting('fan_out_push_limit') then
    update app.pull_ranges r
      set to_id = author_tier_settle.post_id
      where r.author_id = author_tier_settle.author_id
        and r.to_id = 9007199254740992
        and r.from_id < author_tier_settle.post_id;
  end if;
end
$$;

comment on function app.author_tier_settle(bigint, bigint, bigint) is
  'Opens or closes an author''s range in app.pull_ranges at this post, by the number of followers';

commit;
