-- Deploy microblog:functions/rate_limit_end to pg
-- requires: functions/rate_limit_hit

begin;
set local role microblog_owner;

-- Where all of a request is known that its limits were found to refuse before: at the end of each
-- statement that writes through a view of the schema api, and at the beginning of a login. See
-- app.rate_limit_refuse_request.
create function app.rate_limit_end(rows integer, username text default null)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_refusing constant smallint[] := nullif(current_setting('microblog.refusing', true), '');
begin
  if v_refusing is not null then
    perform app.rate_limit_refuse_request(
      v_refusing, username, greatest(rows, 1), current_setting('microblog.rows_counted')::integer
    );
  end if;
end
$$;

comment on function app.rate_limit_end(integer, text) is
  'Ends a request whose limits have refused it, at its beginning or at one of its rows: a write of so many rows, or a login by this username';

grant execute on function app.rate_limit_end(integer, text) to member;

commit;
