-- Deploy microblog:functions/row_require to pg
-- requires: functions/http_error
-- requires: functions/rate_limit_hit

begin;
set local role microblog_owner;

-- After a write to a view of the schema api. A view has no transition tables, so each INSTEAD OF
-- trigger counts the rows it met in the transaction. Rows are written one by one, each with all its
-- triggers; a request that brings thousands would only run into its statement_timeout.
create function app.row_written()
returns void
language plpgsql
volatile
as $$
declare
  v_rows constant integer :=
    coalesce(nullif(current_setting('microblog.rows_written', true), '')::integer, 0) + 1;
begin
  if v_rows > 100 then
    perform app.http_error(400, 'rows_too_many', 'A request writes at most 100 rows.',
      'Nothing was written. Send the rows in several requests.');
  end if;
  -- app.pre_request has counted the request, and so its first row.
  if v_rows > 1 then
    perform app.rate_limit_hit(further_rows => 1);
  end if;
  perform set_config('microblog.rows_written', v_rows::text, true);
end
$$;

comment on function app.row_written() is 'Counts the rows that this request''s statement met; refuses the 101st';

create function app.tg_api__row_require()
returns trigger
language plpgsql
volatile
as $$
begin
  if coalesce(current_setting('microblog.rows_written', true), '') = '' then
    perform app.http_error(tg_argv[0]::integer, tg_argv[1], tg_argv[2], tg_argv[3]);
  end if;
  return null;
end
$$;

comment on function app.tg_api__row_require() is
  'Refuses a write that met no row. Arguments: status, code, message, hint';

grant execute on function app.row_written() to member;

commit;
