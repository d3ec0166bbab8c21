-- Deploy microblog:functions/row_require to pg
-- requires: functions/http_error

begin;
set local role microblog_owner;

-- After a write to a view of the schema api. A view has no transition tables, so each INSTEAD OF
-- trigger leaves a mark in the transaction that it met a row.
create function app.row_written()
returns void
language sql
volatile
begin atomic
  select set_config('microblog.row_written', 'yes', true);
end;

comment on function app.row_written() is 'Marks that this request''s statement met a row';

create function app.tg_api__row_require()
returns trigger
language plpgsql
volatile
as $$
begin
  if current_setting('microblog.row_written', true) is distinct from 'yes' then
    perform app.http_error(tg_argv[0]::integer, tg_argv[1], tg_argv[2], tg_argv[3]);
  end if;
  return null;
end
$$;

comment on function app.tg_api__row_require() is
  'Refuses a write that met no row. Arguments: status, code, message, hint';

grant execute on function app.row_written() to member;

commit;
