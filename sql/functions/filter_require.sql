-- Deploy microblog:functions/filter_require to pg
-- requires: functions/http_error

begin;
set local role microblog_owner;

-- Before a DELETE or UPDATE on a view of the schema api. A forgotten filter must not mean "all of
-- mine". The statement that PostgREST built is the only place that tells: its filter is the WHERE
-- between the target and RETURNING. Values are parameters there, and the first client's text that
-- is not the name of a column, an alias of select=, comes after RETURNING.
create function app.tg_api__filter_require()
returns trigger
language plpgsql
volatile
as $$
declare
  v_statement constant text := split_part(current_query(), ' RETURNING ', 1);
begin
  if v_statement ~* format('(delete from|update) "api"."%s"', tg_table_name)
    and v_statement !~* format('(delete from|update) "api"."%s".* where ', tg_table_name)
  then
    perform app.http_error(400, 'filter_required',
      format('%s /%s needs a filter; without one it would mean every row.',
        case tg_op when 'UPDATE' then 'PATCH' else tg_op end, tg_table_name),
      format('Say which: /%s?%s=eq.<id>.', tg_table_name,
        case tg_table_name when 'follows' then 'followed_id' else 'id' end));
  end if;
  -- PostgREST's limited writes: "limit" alone would pick rows without saying which.
  if v_statement like '%pgrst_affected_rows%' then
    perform app.http_error(400, 'limit_not_supported',
      'DELETE and PATCH take no limit.', 'Say with a filter which rows are meant.');
  end if;
  return null;
end
$$;

comment on function app.tg_api__filter_require() is 'Refuses DELETE and PATCH over HTTP without a filter: 400';

commit;
