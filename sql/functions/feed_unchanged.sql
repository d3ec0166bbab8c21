-- Deploy microblog:functions/feed_unchanged to pg
-- requires: functions/page_tag
-- requires: functions/feed_page
-- requires: functions/rate_limit_hit
-- requires: schema/sessions
--
-- What the proxy asks before it sends a conditional request on (api/unchanged.lua): is this page of
-- a timeline still the one that the client has? Less is read than for the page itself, and neither
-- PostgREST nor its transaction take part, which is most of what a page costs (decision 0019).
--
-- "No" is always right: the request then goes the usual way. "Yes" is one statement in one snapshot,
-- and is as a full answer in that snapshot would be.

begin;
set local role microblog_owner;

-- Which posts are on the page follows the same rules as in app.feed_page, but for what lies below
-- the horizon. Posts and authors are looked up for what may have changed of them alone.
--
-- Runs with the owner's rights, whom row security does not bind: hence the reader's id, and
-- deleted_at. An entry whose post or author is gone is not on the page, and another row is; where
-- there is one, the answer is null.
create function app.feed_rows(
  user_id bigint,
  top bigint,
  shown integer,
  with_own boolean,
  out "rows" text,
  out has_next boolean
)
language plpgsql
stable
as $$
begin
  with horizon as materialized (
    select greatest(
      (select h.post_id from app.feed_horizon h),
      (select s.complete_from from app.feed_states s where s.user_id = feed_rows.user_id)
    ) as id
  ),
  pushed as materialized (
    select e.post_id as id
    from app.feed_entries e
    where e.user_id = feed_rows.user_id
      and e.post_id < top
      and e.post_id >= (select h.id from horizon h)
    order by e.post_id desc
    limit shown + 1
  ),
  floor as materialized (
    select case when count(*) > shown then min(p.id) else (select h.id from horizon h) end as id
    from pushed p
  ),
  merged as (
    select feed_rows.user_id as author_id, 0::bigint as from_id, 9007199254740992 as to_id
    where with_own
    union all
    select r.author_id, r.from_id, r.to_id
    from app.pull_ranges r
    join app.follows f on f.follower_id = feed_rows.user_id and f.followed_id = r.author_id
  ),
  page as materialized (
    select a.id
    from (
      select p.id from pushed p
      union all
      select p.id
      from merged m
      cross join lateral (
        select p.id
        from app.posts p
        where p.author_id = m.author_id
          and not p.is_reply
          and p.id < least(top, m.to_id)
          and p.id >= greatest(m.from_id, (select f.id from floor f))
        order by p.id desc
        limit shown + 1
      ) p
    ) a
    order by a.id desc
    limit shown + 1
  ),
  there as materialized (
    select p.id, p.parent_id, p.replies_count, u.id as author_id, u.username
    from page n
    join app.posts p on p.id = n.id
    join app.users u on u.id = p.author_id and u.deleted_at is null
  ),
  -- A page that is not full goes on below the horizon, if there is one (app.feed_below).
  facts as materialized (
    select
      count(*) > shown as is_full,
      count(*) = (select count(*) from there) and (
        count(*) > shown or (select h.id = 0 from horizon h)
      ) as is_known,
      min(n.id) as last_id
    from page n
  )
  select
      coalesce(
        string_agg(
          app.page_tag_row(
            t.id,
            t.parent_id,
            t.replies_count + case
              when t.id <= (select max(d.post_id) from app.post_counter_deltas d)
                then coalesce(
                  (select sum(d.replies) from app.post_counter_deltas d where d.post_id = t.id), 0
                )
              else 0
            end,
            json_build_object('id', t.author_id, 'username', t.username)
          ),
          ';' order by t.id desc
        ),
        ''
      ),
      f.is_full
    into feed_rows.rows, feed_rows.has_next
    from facts f
    left join there t on not f.is_full or t.id > f.last_id
    where f.is_known
    group by f.is_full;
end
$$;

comment on function app.feed_rows(bigint, bigint, integer, boolean) is
  'The rows of a page of a timeline as its tag knows them (app.page_tag_row), and whether a next page follows; null where that takes more than this looks at';

-- Touches app.sessions, app.secrets and what a timeline is made of (reads), app.rate_limit_buckets
-- (writes). The session is checked as app.pre_request does; what PostgREST does there, the signature
-- of the token, is checked here, with the one key that signs. Tokens of a key that was replaced go
-- the usual way.
--
-- Counted last, and only where the answer is yes: what goes on to PostgREST is counted there.
create function app.feed_unchanged(
  token text,
  method text,
  path text,
  cursor text,
  "limit" text,
  representation text,
  tags text,
  address text
)
returns text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_parts constant text[] := string_to_array(token, '.');
  v_claims json;
  v_user_id bigint;
  v_tag text;
begin
  if cursor !~ '^[0-9]{0,18}$' or "limit" !~ '^(|[1-9][0-9]?|100)$' or (
    select app.base64url(extensions.hmac(
      convert_to(v_parts[1] || '.' || v_parts[2], 'UTF8'), convert_to(s.value, 'UTF8'), 'sha256'
    ))
    from app.secrets s
    where s.name = 'jwt'
  ) is distinct from v_parts[3] then
    return null;
  end if;
  v_claims := convert_from(
    decode(rpad(translate(v_parts[2], '-_', '+/'), (length(v_parts[2]) + 3) / 4 * 4, '='), 'base64'),
    'UTF8'
  );
  select s.user_id
    into v_user_id
    from app.sessions s
    where s.jti = v_claims ->> 'jti'
      and s.expires_at > now()
      and s.user_id::text = v_claims ->> 'sub'
      and extract(epoch from s.expires_at)::bigint::text = v_claims ->> 'exp'
      and v_claims ->> 'aud' = 'microblog'
      and v_claims ->> 'role' = 'member';
  select app.page_tag(representation, v_user_id, f.has_next, f.rows)
    into v_tag
    from app.feed_rows(
      v_user_id, app.page_top(cursor), coalesce(nullif("limit", '')::integer, 20),
      path = '/rpc/feed_timeline'
    ) f;
  if app.tag_matches(tags, v_tag) is not true then
    return null;
  end if;

  perform
    set_config('microblog.user_id', v_user_id::text, true),
    set_config('request.method', method, true),
    set_config('request.path', path, true),
    set_config('request.headers', json_build_object('x-forwarded-for', address)::text, true),
    set_config('response.headers', json_build_array(json_build_object('ETag', v_tag))::text, true);
  begin
    perform app.rate_limit_hit(here => true);
  exception
    when sqlstate 'PGRST' then
      return null;
  end;
  return (
    select string_agg(h.key || ': ' || h.value, chr(10))
    from json_array_elements(current_setting('response.headers')::json) a
    cross join json_each_text(a.value) h
  );
end
$$;

comment on function app.feed_unchanged(text, text, text, text, text, text, text, text) is
  'Whether a page of a timeline is as the client has it: the headers of the 304, a line each; null where it is not, or where that is not known. Counts the request against its limits where it answers. cursor and limit may be empty, tags is If-None-Match as sent';

grant usage on schema app to proxy;
grant execute on function app.feed_unchanged(text, text, text, text, text, text, text, text)
  to proxy;

commit;
