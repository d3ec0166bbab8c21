-- Deploy microblog:functions/http_error to pg
-- requires: schema/schemas

begin;
set local role microblog_owner;

-- PostgREST turns SQLSTATE PGRST into an answer: the message becomes the body, the detail the
-- status and the headers: those that were set before, which would be lost with the transaction,
-- and those that belong to the status. The body keeps PostgREST's four fields.
create function app.http_error(
  status integer,
  code text,
  message text,
  hint text default null,
  details text default null
)
returns void
language plpgsql
volatile
as $$
begin
  raise sqlstate 'PGRST' using
    message = json_build_object(
      'code', http_error.code,
      'message', http_error.message,
      'details', http_error.details,
      'hint', http_error.hint
    )::text,
    detail = json_build_object(
      'status', http_error.status,
      'headers', (
        select coalesce(json_object_agg(h.key, h.value), '{}')
        from (
          select e.key, e.value
          from json_array_elements(
            nullif(current_setting('response.headers', true), '')::json
          ) a
          cross join json_each_text(a.value) e
          union all
          -- A token was sent and is dead (RFC 6750, 3.1), or none was sent.
          select
            'WWW-Authenticate',
            case code when 'session_ended' then 'Bearer error="invalid_token"' else 'Bearer' end
          where http_error.status = 401
        ) h
      )
    )::text;
end
$$;

comment on function app.http_error(integer, text, text, text, text) is
  'Refuses the request: raises an error that PostgREST answers with this status and body. Rolls back; never returns';

create function app.busy()
returns void
language sql
volatile
begin atomic
  select app.http_error(503, 'busy', 'The server is busy with the same rows; nothing was written.',
    'Send the request again in a moment.');
end;

comment on function app.busy() is 'Refuses a request that waited too long for others: 503';

grant execute on function app.busy() to anon, member;
grant execute on function app.http_error(integer, text, text, text, text) to anon, member;

commit;
