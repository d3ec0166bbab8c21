-- Deploy microblog:functions/row_require to pg
-- requires: functions/http_error
-- requires: functions/rate_limit_hit
-- requires: functions/rate_limit_end

begin;
set local role microblog_owner;

-- Before each row of a write to a view of the schema api. A view has no transition tables, so each
-- INSTEAD OF trigger counts the rows it met in the transaction. Rows are written one by one, each
-- with all its triggers; a request that brings thousands would only run into its
-- statement_timeout. Once its limits refuse the request, the other rows are counted, for
-- the answer, and not written.
create function app.row_written()
returns boolean
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
  perform set_config('microblog.rows_written', v_rows::text, true);
  -- app.pre_request has counted the request, and so its first row.
  if v_rows > 1 and coalesce(current_setting('microblog.refusing', true), '') = '' then
    perform app.rate_limit_hit(further_rows => 1);
  end if;
  return coalesce(current_setting('microblog.refusing', true), '') = '';
end
$$;

comment on function app.row_written() is
  'Counts the rows that this request''s statement met; refuses the 101st. False for a row that is to be passed over, because the request will be refused';

create function app.tg_api__row_require()
returns trigger
language plpgsql
volatile
as $$
declare
  v_rows constant integer := nullif(current_setting('microblog.rows_written', true), '');
begin
  perform app.rate_limit_end(coalesce(v_rows, 0));
  if v_rows is null then
    perform app.http_error(tg_argv[0]::integer, tg_argv[1], tg_argv[2], tg_argv[3]);
  end if;
  return null;
end
$$;

comment on function app.tg_api__row_require() is
  'Refuses a write that its limits refuse, and one that met no row. Arguments: status, code, message, hint';

grant execute on function app.row_written() to member;

commit;
