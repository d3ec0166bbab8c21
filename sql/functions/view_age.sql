-- Deploy microblog:functions/view_age to pg
-- requires: schema/views
-- requires: functions/response_header

begin;
set local role microblog_owner;

create function app.view_age(view_name text)
returns boolean
language plpgsql
volatile
as $$
declare
  v_refreshed_at timestamptz;
begin
  select v.refreshed_at
    into strict v_refreshed_at
    from app.view_refreshes v
    where v.view_name = view_age.view_name;
  perform app.response_header(
    'Age', greatest(0, ceil(extract(epoch from now() - v_refreshed_at)))::text
  );
  perform app.response_header(
    'Last-Modified', to_char(v_refreshed_at at time zone 'UTC', 'Dy, DD Mon YYYY HH24:MI:SS "GMT"')
  );
  return true;
end
$$;

comment on function app.view_age(text) is
  'Says in the headers Age (seconds, rounded up) and Last-Modified (RFC 9110) how old a materialised view is. Always true';

grant execute on function app.view_age(text) to anon, member;

commit;
