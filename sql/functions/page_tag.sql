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

-- These are expressions, which the planner puts in the place of each call, as in functions/page; it
-- does so only where an argument that is used twice is as cheap as a column. So a page gathers its tag
-- in one sub-select, and tells it in the next.

-- What of a row of a timeline may change, and the id, which stands for the rest: a post of its own
-- has no parent.
create function app.page_tag_row(id bigint, replies_count integer, author_id bigint, username text)
returns text
language sql
stable
parallel safe
return concat(id, ',', replies_count, ',', author_id, ',', username);

comment on function app.page_tag_row(bigint, integer, bigint, text) is
  'A row of a timeline as its tag knows it';

-- Part of every tag. Whatever changes a byte of a page whose rows are the same (a column, the form of a
-- time, a Link) raises it in the same migration, so that no tag from before is good afterwards;
-- tests/api/test_representation.py keeps the bytes of this one. Stable, though it is a constant: as an
-- immutable one it would be worked out at planning, and plans made before would go on with the old.
create function app.page_version()
returns text
language sql
stable
parallel safe
return '1';

comment on function app.page_version() is
  'How pages are written out: another number for other bytes of the same rows';

create function app.page_tag(
  "rows" text,
  user_id bigint,
  representation text default split_part(
    split_part(current_setting('request.headers', true), '"x-representation":"', 2), '"', 1
  )
)
returns text
language sql
stable
parallel safe
return representation || '-' || app.page_version() || '-' || md5(concat(user_id, ' ') || "rows");

comment on function app.page_tag(text, bigint, text) is
  'The entity tag of a page, without its quotes: of its rows and the one beyond it, for whom it is made (null: for everybody), and how it is written out; null where the rows are not known';

-- A tag has no quotes within, so finding it with its own is finding it in the list; W/ before it
-- makes no difference to a comparison of this kind (RFC 9110, 13.1.2).
create function app.tag_matches(tags text, tag text)
returns boolean
language sql
immutable
parallel safe
return strpos(tags, '"' || tag || '"') > 0 or btrim(tags) = '*';

comment on function app.tag_matches(text, text) is 'Whether a tag is in the list of If-None-Match';

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
  when strpos(current_setting('request.headers', true), '"x-representation"') > 0 then
    set_config(
      'response.headers',
      coalesce(rtrim(nullif(current_setting('response.headers', true), ''), ']') || ',', '[')
        || '{"ETag": "\"' || tag || '\""}]',
      true
    ) <> '' and case
      when strpos(current_setting('request.headers', true), '"if-none-match"') > 0
        then app.page_unchanged(tag)
      else true
    end
  else true
end;

comment on function app.page_tell_tag(text) is
  'Sets the header ETag, and the status 304 where If-None-Match has it. Always true';

grant execute on function app.page_tag_row(bigint, integer, bigint, text) to anon, member;
grant execute on function app.page_version() to anon, member;
grant execute on function app.page_tag(text, bigint, text) to anon, member;
grant execute on function app.tag_matches(text, text) to anon, member;
grant execute on function app.page_unchanged(text) to anon, member;
grant execute on function app.page_tell_tag(text) to anon, member;

commit;
