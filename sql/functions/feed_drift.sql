-- Deploy microblog:functions/feed_drift to pg
-- requires: schema/feed_entries
-- requires: schema/follows
-- requires: functions/feed_deliver

begin;
set local role microblog_owner;

-- The definition, which app.feed_entries must equal once the queue is empty:
--   following(u) = top-level posts whose author is followed by u
-- less what is read from elsewhere: below the horizon, and pulled posts. Rows left there do no harm
-- as long as they are of the feed; they count as surplus only where they are not.
create function dba.feed_drift()
returns table (problem text, user_id bigint, post_id bigint)
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
begin atomic
  with definition as (
    select
      f.follower_id as user_id,
      p.id as post_id,
      p.id >= h.post_id
        and p.id >= s.complete_from
        and not app.is_pulled(p.author_id, p.id) as is_kept
    from app.follows f
    join app.posts p on p.author_id = f.followed_id
    join app.feed_states s on s.user_id = f.follower_id
    cross join app.feed_horizon h
    where not p.is_reply
  )
  select
    case when e.post_id is null then 'missing' else 'surplus' end,
    coalesce(e.user_id, d.user_id),
    coalesce(e.post_id, d.post_id)
  from app.feed_entries e
  full join definition d on d.user_id = e.user_id and d.post_id = e.post_id
  where (e.post_id is null and d.is_kept) or d.post_id is null;
end;

comment on function dba.feed_drift() is
  'Audit: rows that app.feed_entries lacks or has too many, by the definition of a feed; expected once the queue is empty: none. Reads everything';

commit;
