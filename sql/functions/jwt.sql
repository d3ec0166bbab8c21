-- Deploy microblog:functions/jwt to pg
-- requires: schema/sessions
-- requires: functions/job_feeds
--
-- JSON Web Tokens (RFC 7519), signed with HMAC SHA-256 (RFC 7518, 3.2), which PostgREST verifies
-- with the same key.

begin;
set local role microblog_owner;

create function app.base64url(data bytea)
returns text
language sql
immutable
parallel safe
return translate(encode(data, 'base64'), e'+/=\n', '-_');

comment on function app.base64url(bytea) is 'base64url without padding (RFC 4648, 5)';

create function app.jwt_secret_set(secret text)
returns timestamptz
language sql
volatile
begin atomic
  insert into app.secrets (name, value) values ('jwt', secret)
  on conflict on constraint secrets_pkey
  do update set value = excluded.value, changed_at = now()
  where app.secrets.value is distinct from excluded.value;

  -- Logins under way may still sign with the key before; they end within the statement_timeout.
  select
    greatest(now() + app.setting('session_lifetime') * interval '1 second', max(s.expires_at))
      + interval '10 seconds'
  from app.sessions s;
end;

comment on function app.jwt_secret_set(text) is
  'Stores the key that tokens are signed with, at least 32 bytes; among those of PostgREST''s jwt-secret. Returns when the last token of any key before has expired';

create function app.jwt_sign(payload json)
returns text
language plpgsql
stable
as $$
declare
  v_secret constant text := (select s.value from app.secrets s where s.name = 'jwt');
  v_signed constant text :=
    app.base64url(convert_to('{"alg":"HS256","typ":"JWT"}', 'UTF8'))
    || '.' || app.base64url(convert_to(payload::text, 'UTF8'));
begin
  if v_secret is null then
    perform app.http_error(503, 'no_signing_key', 'The server has no key to sign tokens with.',
      'The operator sets one: microblog up, or select app.jwt_secret_set(…).');
  end if;
  return v_signed || '.' || app.base64url(
    extensions.hmac(convert_to(v_signed, 'UTF8'), convert_to(v_secret, 'UTF8'), 'sha256')
  );
end
$$;

comment on function app.jwt_sign(json) is 'The payload as a signed compact token';

-- A new session and its token, as login and sign-up answer it.
create function app.session_start(user_id bigint)
returns json
language plpgsql
volatile
as $$
declare
  v_session app.sessions;
begin
  -- Waits for an account_close of this user under way: a deleted account gets no session.
  perform from app.users u
    where u.id = session_start.user_id and u.deleted_at is null
    for key share;
  if not found then
    return null;
  end if;

  insert into app.sessions (user_id, expires_at)
    values (
      session_start.user_id,
      date_trunc('second', now()) + app.setting('session_lifetime') * interval '1 second'
    )
    returning * into v_session;
  perform app.feed_keep(session_start.user_id, v_session.expires_at);
  return json_build_object(
    'token', app.jwt_sign(json_build_object(
      'role', 'member',
      'aud', 'microblog',
      'sub', v_session.user_id::text,
      'jti', v_session.jti,
      'iat', extract(epoch from date_trunc('second', now()))::bigint,
      'exp', extract(epoch from v_session.expires_at)::bigint
    )),
    'token_type', 'Bearer',
    'expires_at', v_session.expires_at,
    'user', (
      select json_build_object(
        'id', u.id,
        'username', u.username,
        'description', u.description,
        'created_at', u.created_at
      )
      from app.users u
      where u.id = v_session.user_id
    )
  );
end
$$;

comment on function app.session_start(bigint) is
  'Starts a session: {token, token_type, expires_at, user}; null where the account was deleted meanwhile';

commit;
