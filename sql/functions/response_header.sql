-- Deploy microblog:functions/response_header to pg
-- requires: schema/schemas

begin;
set local role microblog_owner;

-- PostgREST takes the setting response.headers, an array of objects with one key each. A later
-- set_config replaces an earlier one, so whatever sets a header adds it here.
create function app.response_header(name text, value text)
returns void
language plpgsql
volatile
as $$
declare
  v_set constant text := nullif(current_setting('response.headers', true), '');
begin
  perform set_config(
    'response.headers',
    coalesce(rtrim(v_set, ']') || ', ', '[') || json_build_object(name, value) || ']',
    true
  );
end
$$;

comment on function app.response_header(text, text) is 'Adds a header to the answer of this request';

grant execute on function app.response_header(text, text) to anon, member;

commit;
