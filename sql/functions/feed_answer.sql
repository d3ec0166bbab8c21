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

-- Touches app.sessions, app.secrets and what the pages are made of (reads), app.rate_limit_buckets
-- (writes). Sessions are checked as app.pre_request does; what PostgREST does there, the signature of
-- a token, is checked here, with the one key that signs. Tokens of a key that was replaced go the
-- usual way.
--
-- Several questions at once, because a statement, its session's plans and its commit cost as much as
-- the look-ups of a page (decision 0028). The answers are the same as if each had been asked alone, but
-- for a limit: one that is met refuses all, and who asks does so again for each alone. And where the
-- pages become too many for whom reads them, the answers end before the questions do.
--
-- Counted last, because a bucket is locked from then on, and many requests share that of their
-- address. What goes on to PostgREST is counted there; so is a request that meets a limit: the error
-- undoes the count, and the usual way refuses it in words.
create function app.feed_answers(
  tokens text[],
  methods text[],
  paths text[],
  cursors text[],
  limits text[],
  representations text[],
  tags text[],
  addresses text[],
  with_pages boolean[],
  most_bytes integer
)
returns text[]
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_users bigint[];
  v_user_id bigint;
  v_rows integer;
  v_tag text;
  v_page record;
  v_told text[];
  v_bodies text[];
  v_limits text[];
  v_answers text[];
  v_bytes integer := 0;
begin
  -- A replica counts elsewhere.
  if pg_is_in_recovery() then
    return array_fill(null::text, array[cardinality(tokens)]);
  end if;
  -- As in app.pre_request, and what PostgREST checks before it. What is not signed is not read: hence
  -- "offset 0".
  select array_agg(v.user_id order by q.n)
    into v_users
    from unnest(tokens) with ordinality q (token, n)
    left join (
      select t.n, s.user_id
      from (
        select
          p.n,
          convert_from(
            decode(
              rpad(
                replace(replace(p.parts[2], '-', '+'), '_', '/'),
                (length(p.parts[2]) + 3) / 4 * 4,
                '='
              ),
              'base64'
            ),
            'UTF8'
          )::jsonb as claims
        from (
          select q.n, string_to_array(q.token, '.') as parts
          from unnest(tokens) with ordinality q (token, n)
        ) p
        join app.secrets k
          on cardinality(p.parts) = 3
          and app.base64url(extensions.hmac(
            convert_to(p.parts[1] || '.' || p.parts[2], 'UTF8'), convert_to(k.value, 'UTF8'), 'sha256'
          )) = p.parts[3]
        where k.name = 'jwt'
        offset 0
      ) t
      join app.sessions s on s.jti = t.claims ->> 'jti'
      where s.expires_at > now()
        and s.user_id::text = t.claims ->> 'sub'
        and extract(epoch from s.expires_at)::bigint::text = t.claims ->> 'exp'
        and t.claims ->> 'aud' = 'microblog'
        and t.claims ->> 'role' = 'member'
    ) v on v.n = q.n;

  for i in 1 .. cardinality(tokens) loop
    v_user_id := v_users[i];
    if cursors[i] !~ '^[0-9]{0,18}$' or limits[i] !~ '^(|[1-9][0-9]?|100)$'
      or v_user_id is null and (tokens[i] <> '' or paths[i] <> '/rpc/feed_public')
    then
      -- Nobody counts what has no path.
      paths[i] := null;
      continue;
    end if;

    -- An expression, which costs less than a query.
    v_told[i] := concat(
      set_config('microblog.user_id', v_user_id::text, true),
      set_config('request.method', methods[i], true),
      set_config('request.path', paths[i], true),
      set_config(
        'request.headers',
        concat(
          '{"x-representation":', to_json(representations[i]),
          ',"if-none-match":' || to_json(nullif(tags[i], '')), '}'
        ),
        true
      ),
      set_config('response.status', '', true),
      set_config('response.headers', '', true)
    );

    v_tag := null;
    if tags[i] <> '' then
      -- Waits for a partition that is being dropped, so that the next snapshot sees the new horizon.
      perform from app.feed_entries where false;
      v_rows := coalesce(nullif(limits[i], '')::integer, 20) + 1;
      v_tag := app.page_tag(
        case
          when paths[i] in ('/rpc/feed_mine', '/rpc/feed_public') then
            app.feed_tag_cards(
              case when paths[i] = '/rpc/feed_mine' then v_user_id end,
              app.page_top(cursors[i]),
              v_rows
            )
          else
            app.feed_tag_rows(app.page_top(cursors[i]), v_rows, paths[i] = '/rpc/feed_timeline')
        end,
        case when paths[i] <> '/rpc/feed_public' then v_user_id end,
        representations[i]
      );
      if app.tag_matches(tags[i], v_tag) is not true then
        v_tag := null;
      end if;
    end if;

    if v_tag is not null then
      v_told[i] := '{"ETag": "\"' || v_tag || '\""}';
    elsif not with_pages[i] then
      paths[i] := null;
    else
      v_page := app.feed_body(paths[i], nullif(cursors[i], ''), nullif(limits[i], '')::integer);
      v_told[i] := btrim(current_setting('response.headers', true), '[]');
      -- The page sees its tag in the list even where the look-ups above do not reach.
      if current_setting('response.status', true) = '304' is not true then
        if octet_length(v_page.body) <= most_bytes is not true then
          paths[i] := null;
          continue;
        end if;
        v_bytes := v_bytes + octet_length(v_page.body);
        if v_bytes > most_bytes then
          paths := paths[: i - 1];
          exit;
        end if;
        v_bodies[i] := v_page.body;
        v_told[i] := concat(
          v_told[i],
          ', {"Content-Type": "application/json; charset=utf-8"}, {"Content-Range": "',
          case when v_page.page_rows > 0 then '0-' || v_page.page_rows - 1 else '*' end, '/*"}'
        );
      end if;
    end if;
  end loop;

  v_limits := app.rate_limit_hit_here(methods, paths, v_users, addresses);
  for i in 1 .. cardinality(paths) loop
    v_answers[i] := case
      when paths[i] is not null then concat_ws(
        chr(10),
        concat('[', nullif(btrim(v_limits[i], '[]'), '') || ', ', v_told[i], ']'),
        v_bodies[i]
      )
    end;
  end loop;
  return v_answers;
end
$$;

comment on function app.feed_answers(
  text[], text[], text[], text[], text[], text[], text[], text[], boolean[], integer
) is
  'Answers GETs or HEADs of feeds, given as arrays of one length; of each, in their order, as far as all bodies together have most_bytes: its headers, an array of objects with one key each, and after a line feed the body of a 200; without a body it is a 304. Null where PostgREST has to answer: the token is not in order, the page has more than most_bytes or the path is none of a feed, or (with_pages false) the page is not the one that the client has. An error where one of them meets a limit, or cannot be made: nothing was counted then. cursors and limits may be empty, tags are If-None-Match as sent, representations the header X-Representation. Counts each request that it answers against its limits';

grant usage on schema app to proxy;
grant execute on function app.feed_answers(
  text[], text[], text[], text[], text[], text[], text[], text[], boolean[], integer
) to proxy;

commit;
