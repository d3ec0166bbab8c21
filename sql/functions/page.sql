-- Deploy microblog:functions/page to pg
-- requires: functions/http_error
-- requires: functions/post_id
--
-- What all paged calls share. A page asks for one row more than its limit; if that row is there,
-- more follows, and the id of the last row shown is the cursor of the next page.

begin;
set local role microblog_owner;

-- These are expressions, which the planner puts in the place of each call: a page calls them several
-- times, and a call of PL/pgSQL costs it as much as some rows. Only what is not simply in order goes
-- on to PL/pgSQL. "cost 1" there, because the planner copies only what it takes to be cheap.
--
-- PostgREST keeps the query parameter "limit" for itself, so in a GET the proxy hands it over as
-- the header X-Page-Limit. In a POST it is an argument like any other.
create function app.page_limit_given("limit" integer)
returns integer
language plpgsql
stable
parallel safe
cost 1
as $$
declare
  v_limit text := coalesce(
    "limit"::text,
    nullif(current_setting('request.headers', true), '')::json ->> 'x-page-limit',
    '20'
  );
begin
  if v_limit !~ '^[0-9]{1,3}$' or v_limit::integer not between 1 and 100 then
    perform app.http_error(400, 'limit_invalid',
      format('limit is a number from 1 to 100, not %s.', to_json(left(v_limit, 40))),
      'Leave it out for 20; follow X-Next-Cursor for more.');
  end if;
  return v_limit::integer;
end
$$;

comment on function app.page_limit_given(integer) is
  'The limit as the argument or the header X-Page-Limit gives it; refuses what is no number from 1 to 100';

-- In the JSON text of the headers the name stands in quotes as a key alone: within a value, quotes
-- have a backslash.
create function app.page_limit("limit" integer)
returns integer
language sql
stable
parallel safe
return case
  when "limit" between 1 and 100 then "limit"
  when "limit" is null
    and coalesce(strpos(current_setting('request.headers', true), '"x-page-limit"'), 0) = 0
    then 20
  else app.page_limit_given("limit")
end;

comment on function app.page_limit(integer) is 'Rows on this page, 1–100, default 20; anything else is refused';

create function app.page_cursor_refuse(cursor text)
returns bigint
language plpgsql
stable
parallel safe
cost 1
as $$
begin
  perform app.http_error(400, 'cursor_invalid',
    format('cursor is the X-Next-Cursor of an earlier page, not %s.', to_json(left(cursor, 40))),
    'Leave it out for the first page.');
end
$$;

comment on function app.page_cursor_refuse(text) is 'Refuses a malformed cursor: 400';

create function app.page_cursor(cursor text, first bigint)
returns bigint
language sql
stable
parallel safe
return case
  when cursor is null or cursor = '' then first
  when cursor ~ '^[0-9]{1,18}$' then cursor::bigint
  else app.page_cursor_refuse(cursor)
end;

comment on function app.page_cursor(text, bigint) is 'Where a page starts: after this id; first if there is no cursor. A malformed one is refused';

-- Newest first starts just above the clock. An hour of slack, for a replica whose clock is behind;
-- the bound lets the planner leave out the partitions of months to come.
create function app.page_top(cursor text)
returns bigint
language sql
stable
parallel safe
return app.page_cursor(cursor, app.post_id_at(now() + interval '1 hour'));

comment on function app.page_top(text) is 'app.page_cursor for pages that run from the newest post down';

-- Adds to the headers set before, because a later setting replaces an earlier one. Every page comes
-- by here exactly once, also one whose plan met no row and so never looked at its conditions:
-- what must be refused on an empty page too is checked in the arguments of this call.
create function app.page_more(
  ids bigint[],
  cursor text,
  "limit" integer,
  arguments text default '',
  path text default current_setting('request.path', true)
)
returns boolean
language sql
volatile
return case
  when app.page_cursor(cursor, 0) is null or arguments is null then null
  when cardinality(ids) > "limit" then
    set_config(
      'response.headers',
      coalesce(rtrim(nullif(current_setting('response.headers', true), ''), ']') || ',', '[')
        || '{"X-Next-Cursor": "' || ids["limit"]
        || '"}, {"Link": "<' || coalesce(path, '') || '?' || arguments || 'cursor=' || ids["limit"]
        || '&limit=' || "limit" || '>; rel=\"next\""}]',
      true
    ) <> ''
  else true
end;

comment on function app.page_more(bigint[], text, integer, text, text) is
  'Given the ids of a page and the one beyond it, if there is one: checks the cursor and says that more follows, in the headers X-Next-Cursor and Link (RFC 8288). Arguments: what the next request repeats, as "name=value&". Always true';

grant execute on function app.page_limit_given(integer) to anon, member;
grant execute on function app.page_limit(integer) to anon, member;
grant execute on function app.page_cursor_refuse(text) to anon, member;
grant execute on function app.page_cursor(text, bigint) to anon, member;
grant execute on function app.page_top(text) to anon, member;
grant execute on function app.page_more(bigint[], text, integer, text, text) to anon, member;

commit;
