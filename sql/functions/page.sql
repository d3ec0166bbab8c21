-- Deploy microblog:functions/page to pg
-- requires: functions/http_error
-- requires: functions/post_id
--
-- What all paged calls share. A page asks for one row more than its limit; if that row is there,
-- more follows, and the id of the last row shown is the cursor of the next page.

begin;
set local role microblog_owner;

-- PostgREST keeps the query parameter "limit" for itself, so in a GET the proxy hands it over as
-- the header X-Page-Limit. In a POST it is an argument like any other.
create function app.page_limit("limit" integer)
returns integer
language plpgsql
stable
parallel safe
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

comment on function app.page_limit(integer) is 'Rows on this page, 1–100, default 20; anything else is refused';

create function app.page_cursor(cursor text, first bigint)
returns bigint
language plpgsql
stable
parallel safe
as $$
begin
  if coalesce(cursor, '') = '' then
    return first;
  elsif cursor ~ '^[0-9]{1,18}$' then
    return cursor::bigint;
  end if;
  perform app.http_error(400, 'cursor_invalid',
    format('cursor is the X-Next-Cursor of an earlier page, not %s.', to_json(left(cursor, 40))),
    'Leave it out for the first page.');
end
$$;

comment on function app.page_cursor(text, bigint) is 'Where a page starts: after this id; first if there is no cursor. A malformed one is refused';

-- Newest first starts just above the clock. An hour of slack, for a replica whose clock is behind;
-- the bound lets the planner leave out the partitions of months to come.
create function app.page_top(cursor text)
returns bigint
language plpgsql
stable
parallel safe
as $$
begin
  return app.page_cursor(cursor, app.post_id_at(now() + interval '1 hour'));
end
$$;

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
language plpgsql
volatile
as $$
declare
  v_set constant text := nullif(current_setting('response.headers', true), '');
begin
  perform app.page_cursor(cursor, 0);
  if cardinality(ids) > "limit" then
    perform set_config(
      'response.headers',
      coalesce(rtrim(v_set, ']') || ',', '[') || format(
        '{"X-Next-Cursor": "%s"}, {"Link": "<%s?%scursor=%s&limit=%s>; rel=\"next\""}]',
        ids["limit"], path, arguments, ids["limit"], "limit"
      ),
      true
    );
  end if;
  return true;
end
$$;

comment on function app.page_more(bigint[], text, integer, text, text) is
  'Given the ids of a page and the one beyond it, if there is one: checks the cursor and says that more follows, in the headers X-Next-Cursor and Link (RFC 8288). Arguments: what the next request repeats, as "name=value&". Always true';

grant execute on function app.page_limit(integer) to anon, member;
grant execute on function app.page_cursor(text, bigint) to anon, member;
grant execute on function app.page_top(text) to anon, member;
grant execute on function app.page_more(bigint[], text, integer, text, text) to anon, member;

commit;
