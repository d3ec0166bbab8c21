-- Deploy microblog:functions/feed_answer to pg
-- requires: functions/feed_tags
-- requires: functions/feed_page
-- requires: functions/feed_timeline
-- requires: functions/feed_mine
-- requires: functions/feed_following
-- requires: functions/feed_public
-- requires: functions/rate_limit_here
-- requires: schema/sessions
--
-- What the proxy asks in place of PostgREST (api/feeds.lua): a page of a feed, or that the client has
-- it already. One statement instead of a transaction of six, in a session that may write, so that the
-- request is counted in it; and no second server that parses, plans and copies (decision 0025).
--
-- It answers only where all is well. Whatever else there is to say of a request, PostgREST says it.

begin;

-- A page for a client is made with a reader's rights, row security and all, whoever asks for it. Only
-- who deploys may give a function away.
--
-- Most pages of app.feed_page are written out from the same rows (app.feed_rows) at once: making a page
-- of these, and JSON of that, took a seventh of all that a request costs. The two change together.
create function app.feed_body(
  path text, cursor text, "limit" integer, out page_rows bigint, out body text
)
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_limit constant integer := app.page_limit("limit");
  v_ids bigint[];
  v_rows text;
  v_tag text;
  v_is_changing boolean := false;
  v_is_told boolean;
begin
  -- Statements of their own, so that each has a plan that is kept.
  if path in ('/rpc/feed_timeline', '/rpc/feed_following') then
    select
        least(count(*), v_limit),
        concat(
          '[',
          string_agg(
            concat(
              '{"id":', r.id,
              ',"content":', to_json(r.content),
              ',"created_at":', to_json(app.post_created_at(r.id)),
              ',"parent_id":', coalesce(r.parent_id::text, 'null'),
              ',"replies_count":', r.replies_count,
              -- Of a username nothing needs to be escaped.
              ',"author":{"id" : ', r.author_id, ', "username" : "', r.username, '"}}'
            ),
            e', \n '
          ) filter (where r.ordinality <= v_limit),
          ']'
        ),
        array_agg(r.id),
        string_agg(app.page_tag_row(r.id, r.replies_count, r.author_id, r.username), ';'),
        min(r.id) <= (select max(d.post_id) from app.post_counter_deltas d)
      into page_rows, body, v_ids, v_rows, v_is_changing
      from app.feed_rows(cursor, v_limit, path = '/rpc/feed_timeline') with ordinality r
      where not exists (select from app.feed_entries e where false);
    if v_is_changing is not true then
      v_tag := app.page_tag(concat(v_rows), app.current_user_id());
      v_is_told := app.page_more(v_ids, cursor, v_limit) and app.page_tell_tag(v_tag);
      return;
    end if;
  end if;

  -- Counters of posts may be under way (app.post_counter_deltas).
  if path = '/rpc/feed_timeline' then
    select count(*), coalesce(json_agg(p), '[]')
      into page_rows, body
      from api.feed_timeline(cursor, "limit") p;
  elsif path = '/rpc/feed_following' then
    select count(*), coalesce(json_agg(p), '[]')
      into page_rows, body
      from api.feed_following(cursor, "limit") p;
  elsif path = '/rpc/feed_mine' then
    select count(*), coalesce(json_agg(p), '[]')
      into page_rows, body
      from api.feed_mine(cursor, "limit") p;
  elsif path = '/rpc/feed_public' then
    select count(*), coalesce(json_agg(p), '[]')
      into page_rows, body
      from api.feed_public(cursor, "limit") p;
  end if;
end
$$;

comment on function app.feed_body(text, text, integer) is
  'A page for app.current_user_id() as PostgREST writes it out, and how many rows it has. Null where the path is none of a feed. cursor and limit as in the call of that name';

alter function app.feed_body(text, text, integer) owner to page_reader;
revoke execute on function app.feed_body(text, text, integer) from public;
grant execute on function app.feed_body(text, text, integer) to microblog_owner;

set local role microblog_owner;

-- Touches app.sessions, app.secrets and what the page is made of (reads), app.rate_limit_buckets
-- (writes). The session is checked as app.pre_request does; what PostgREST does there, the signature
-- of the token, is checked here, with the one key that signs. Tokens of a key that was replaced go
-- the usual way.
--
-- Counted last, because a bucket is locked from then on, and many requests share that of their
-- address. What goes on to PostgREST is counted there; so is a request that meets a limit: the error
-- undoes the count, and the usual way refuses it in words.
create function app.feed_answer(
  token text,
  method text,
  path text,
  cursor text,
  "limit" text,
  representation text,
  tags text,
  address text,
  with_page boolean
)
returns text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_parts constant text[] := string_to_array(token, '.');
  v_user_id bigint;
  v_rows integer;
  v_tag text;
  v_page record;
  v_told text;
  v_body text;
  v_limits text;
begin
  -- A replica counts elsewhere.
  if pg_is_in_recovery() then
    return null;
  end if;
  if cardinality(v_parts) not in (0, 3) or cursor !~ '^[0-9]{0,18}$' or "limit" !~ '^(|[1-9][0-9]?|100)$' then
    return null;
  end if;
  -- As in app.pre_request, and what PostgREST checks before it. What is not signed is not read: hence
  -- "offset 0".
  select s.user_id
    into v_user_id
    from (
      select
        convert_from(
          decode(
            rpad(
              replace(replace(v_parts[2], '-', '+'), '_', '/'), (length(v_parts[2]) + 3) / 4 * 4, '='
            ),
            'base64'
          ),
          'UTF8'
        )::jsonb as claims
      from app.secrets k
      where k.name = 'jwt'
        and app.base64url(extensions.hmac(
          convert_to(v_parts[1] || '.' || v_parts[2], 'UTF8'), convert_to(k.value, 'UTF8'), 'sha256'
        )) = v_parts[3]
      offset 0
    ) t
    join app.sessions s on s.jti = t.claims ->> 'jti'
    where s.expires_at > now()
      and s.user_id::text = t.claims ->> 'sub'
      and extract(epoch from s.expires_at)::bigint::text = t.claims ->> 'exp'
      and t.claims ->> 'aud' = 'microblog'
      and t.claims ->> 'role' = 'member';
  if v_user_id is null and (token <> '' or path <> '/rpc/feed_public') then
    return null;
  end if;

  -- An expression, which costs less than a query.
  v_told := concat(
    set_config('microblog.user_id', v_user_id::text, true),
    set_config('request.method', method, true),
    set_config('request.path', path, true),
    set_config(
      'request.headers',
      concat(
        '{"x-representation":', to_json(representation),
        ',"if-none-match":' || to_json(nullif(tags, '')), '}'
      ),
      true
    )
  );

  if tags <> '' then
    -- Waits for a partition that is being dropped, so that the next snapshot sees the new horizon.
    perform from app.feed_entries where false;
    v_rows := coalesce(nullif("limit", '')::integer, 20) + 1;
    v_tag := app.page_tag(
      case
        when path in ('/rpc/feed_mine', '/rpc/feed_public') then
          app.feed_tag_cards(
            case when path = '/rpc/feed_mine' then v_user_id end, app.page_top(cursor), v_rows
          )
        else
          app.feed_tag_rows(app.page_top(cursor), v_rows, path = '/rpc/feed_timeline')
      end,
      case when path <> '/rpc/feed_public' then v_user_id end,
      representation
    );
    if app.tag_matches(tags, v_tag) is not true then
      v_tag := null;
    end if;
  end if;
  if v_tag is null and not with_page then
    return null;
  end if;

  if v_tag is not null then
    v_told := '{"ETag": "\"' || v_tag || '\""}';
  else
    v_page := app.feed_body(path, nullif(cursor, ''), nullif("limit", '')::integer);
    v_told := btrim(current_setting('response.headers', true), '[]');
    -- The page sees its tag in the list even where the look-ups above do not reach.
    if current_setting('response.status', true) = '304' is not true then
      v_body := v_page.body;
      v_told := concat(
        v_told, ', {"Content-Type": "application/json; charset=utf-8"}, {"Content-Range": "',
        case when v_page.page_rows > 0 then '0-' || v_page.page_rows - 1 else '*' end, '/*"}'
      );
    end if;
  end if;
  v_limits := app.rate_limit_hit_here(method, path, v_user_id, address);
  return concat_ws(
    chr(10), concat('[', nullif(btrim(v_limits, '[]'), '') || ', ', v_told, ']'), v_body
  );
end
$$;

comment on function app.feed_answer(text, text, text, text, text, text, text, text, boolean) is
  'Answers a GET or HEAD of a feed: its headers, an array of objects with one key each, and after a line feed the body of a 200; without a body it is a 304. Null, or an error, where PostgREST has to answer: the token or the limits are not in order, or (with_page false) the page is not the one that the client has. cursor and limit may be empty, tags is If-None-Match as sent, representation the header X-Representation. Counts the request against its limits where it answers';

grant usage on schema app to proxy;
grant execute on function app.feed_answer(
  text, text, text, text, text, text, text, text, boolean
) to proxy;

commit;
