-- Deploy microblog:functions/page_tag to pg
-- requires: functions/page
-- requires: functions/current_user_id
--
-- Entity tags (RFC 9110, 8.8.3) of pages. A tag is a digest of what a page shows, taken from the
-- rows themselves in the snapshot that reads them: it needs no version that a write would have to
-- keep, it cannot be stale, and whichever server makes it makes the same.
--
-- What it does not see of a page can not change while the rest stays: a post's content and time are
-- those of its id. How the rows are written out depends on the address, Accept and select: the proxy
-- hands on a digest of these as X-Representation. Without it there is no tag.

begin;
set local role microblog_owner;

create function app.page_tag(representation text, user_id bigint, has_next boolean, "rows" text)
returns text
language sql
immutable
parallel safe
return '"' || representation || '-' || md5(concat(user_id, has_next, "rows")) || '"';

comment on function app.page_tag(text, bigint, boolean, text) is
  'The entity tag of a page, in its quotes: for whom it is made, whether a next one follows, and its rows, each as app.page_tag_row has it';

-- Every expression of a row that may change, in one form for all that make a tag.
create function app.page_tag_row(id bigint, parent_id bigint, replies_count bigint, author json)
returns text
language sql
immutable
parallel safe
return id::text || ',' || coalesce(parent_id::text, '') || ',' || replies_count::text
  || ',' || coalesce(author::text, '');

comment on function app.page_tag_row(bigint, bigint, bigint, json) is
  'A row of a page as its tag knows it: what may change of it, and the id, which stands for the rest';

-- A tag has no quotes within, so finding it with its own is finding it in the list; W/ before it
-- makes no difference to a comparison of this kind (RFC 9110, 13.1.2).
create function app.tag_matches(tags text, tag text)
returns boolean
language sql
immutable
parallel safe
return strpos(tags, tag) > 0 or btrim(tags) = '*';

comment on function app.tag_matches(text, text) is
  'Whether a tag is in the list of If-None-Match';

create function app.page_unchanged(tag text)
returns boolean
language plpgsql
volatile
as $$
begin
  if current_setting('request.method', true) in ('GET', 'HEAD')
    and app.tag_matches(current_setting('request.headers', true)::json ->> 'if-none-match', tag)
  then
    perform set_config('response.status', '304', true);
  end if;
  return true;
end
$$;

comment on function app.page_unchanged(text) is
  'Answers 304 where the client has the page already. Always true';

-- As app.page_more: adds to the headers set before it, once a page, in one expression.
create function app.page_tell_tag(tag text)
returns boolean
language sql
volatile
return case
  when set_config(
    'response.headers',
    coalesce(rtrim(nullif(current_setting('response.headers', true), ''), ']') || ',', '[')
      || '{"ETag": ' || to_json(tag) || '}]',
    true
  ) <> '' and strpos(current_setting('request.headers', true), '"if-none-match"') > 0
    then app.page_unchanged(tag)
  else true
end;

comment on function app.page_tell_tag(text) is
  'Sets the header ETag, and the status 304 where If-None-Match has it. Always true';

-- The next page is told by then: the rows were gathered, and app.page_more came with them.
create function app.page_validate("rows" text, user_id bigint default app.current_user_id())
returns boolean
language sql
volatile
return case
  when strpos(current_setting('request.headers', true), '"x-representation"') > 0
    then app.page_tell_tag(app.page_tag(
      substring(current_setting('request.headers', true) from '"x-representation":"(-?[0-9]+)"'),
      user_id,
      coalesce(strpos(current_setting('response.headers', true), '"X-Next-Cursor"'), 0) > 0,
      "rows"
    ))
  else true
end;

comment on function app.page_validate(text, bigint) is
  'Given the rows of a page (app.page_tag_row): tells the tag of it, and that it is unchanged where the client has it. user_id: null for a page that is the same for everybody. Always true';

grant execute on function app.page_tag(text, bigint, boolean, text) to anon, member;
grant execute on function app.page_tag_row(bigint, bigint, bigint, json) to anon, member;
grant execute on function app.tag_matches(text, text) to anon, member;
grant execute on function app.page_unchanged(text) to anon, member;
grant execute on function app.page_tell_tag(text) to anon, member;
grant execute on function app.page_validate(text, bigint) to anon, member;

commit;
