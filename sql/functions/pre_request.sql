-- Deploy microblog:functions/pre_request to pg
-- requires: schema/sessions
-- requires: functions/http_error
-- requires: functions/rate_limit_hit

begin;
set local role microblog_owner;

-- PostgREST calls this before each request, in the request's own transaction and role (db-pre-request).
-- It is on the path of every page: one look-up by primary key, one setting, one round trip to the
-- session that counts. plpgsql, because its plans stay cached in the connection.
--
-- Touches app.sessions (reads), and what app.rate_limit_hit touches. The request is counted before
-- anything can refuse it, but for its limits.
create function app.pre_request()
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_claims constant json := nullif(current_setting('request.jwt.claims', true), '');
  v_path constant text := current_setting('request.path', true);
  v_method constant text := current_setting('request.method', true);
  v_user_id bigint;
  v_set text;
begin
  if v_claims ->> 'role' = 'member' then
    select s.user_id
      into v_user_id
      from app.sessions s
      where s.jti = v_claims ->> 'jti'
        and s.expires_at > now()
        -- What PostgREST lets pass where it is missing: a token is as app.session_start made it.
        and s.user_id::text = v_claims ->> 'sub'
        and date_part('epoch', s.expires_at)::bigint::text = v_claims ->> 'exp'
        and v_claims ->> 'aud' = 'microblog';
    -- An assignment is evaluated at once, a PERFORM is a statement of its own.
    v_set := set_config('microblog.user_id', v_user_id::text, true);
  end if;
  perform app.rate_limit_hit();

  -- A GET would do all the work of these before PostgreSQL refused its first write: a wrong password
  -- would look different from a right one, and stand in the proxy's log.
  if v_method in ('GET', 'HEAD')
    and v_path in (
      '/rpc/signup', '/rpc/login', '/rpc/logout', '/rpc/password_change', '/rpc/account_delete'
    )
  then
    perform app.http_error(405, 'method_not_allowed', format('There is no %s %s.', v_method, v_path),
      'Send a POST with a JSON object.');
  end if;

  if v_claims ->> 'role' = 'member' then
    if v_user_id is null then
      perform app.http_error(401, 'session_ended',
        'This token is no longer valid: its session has ended.',
        'Log in again: POST /rpc/login {"username": "…", "password": "…"}.');
    end if;

    -- The rewriter would answer for views that take no such write, before any privilege is asked.
    if v_method not in ('GET', 'HEAD')
      and v_path not like '/rpc/%'
      and v_method || v_path not in
        ('POST/posts', 'DELETE/posts', 'PATCH/users', 'POST/follows', 'DELETE/follows')
    then
      perform app.http_error(405, 'method_not_allowed', format('There is no %s %s.', v_method, v_path),
        'Writes are POST and DELETE of /posts and /follows, PATCH of /users, and POST of /rpc/….');
    end if;

  -- Without this the privilege check alone would refuse, in words about functions and views.
  elsif (
    v_path like '/rpc/%'
    and not has_function_privilege('anon', to_regproc('api.' || quote_ident(substr(v_path, 6))), 'execute')
  ) or (
    v_path not like '/rpc/%'
    and v_method in ('POST', 'PATCH', 'PUT', 'DELETE')
  ) then
    perform app.http_error(401, 'token_required', 'This call needs a token.',
      'POST /rpc/login {"username": "…", "password": "…"}, then send the header "Authorization: Bearer <token>". No account yet: POST /rpc/signup.');
  end if;
end
$$;

comment on function app.pre_request() is
  'Before each HTTP request: checks that the token''s session is alive, says who the user is (app.current_user_id), and counts the request against its limits';

grant execute on function app.pre_request() to anon, member;

commit;
