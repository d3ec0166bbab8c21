-- Deploy microblog:functions/password_check to pg
-- requires: schema/users
-- requires: functions/http_error
-- requires: functions/response_header
-- requires: functions/bcrypt

begin;
set local role microblog_owner;

create function app.password_hash(password text)
returns text
language sql
volatile
begin atomic
  select app.bcrypt(
    password_hash.password,
    extensions.gen_salt('bf', app.setting('bcrypt_cost')::integer)
  );
end;

comment on function app.password_hash(text) is 'bcrypt hash of a new password, at the cost in app.settings';

create function app.password_require(password text)
returns void
language plpgsql
volatile
as $$
begin
  if password is null or char_length(password) < 8 then
    perform app.http_error(400, 'password_too_short', 'A password has at least 8 characters.',
      'Choose a longer one; a sentence works well.');
  elsif octet_length(password) > 72 then
    perform app.http_error(400, 'password_too_long',
      format('A password has at most 72 bytes; this one has %s.', octet_length(password)),
      'bcrypt would silently ignore the rest. Choose a shorter one.');
  end if;
end
$$;

comment on function app.password_require(text) is 'Refuses a new password that is too short or that bcrypt would cut';

-- A user that does not exist costs the same work as one that does: a hash at the cost of new
-- passwords, whatever the password's length. So neither the answer nor its time tells whether
-- there is such a user, as long as bcrypt_cost is what the stored hashes were made with.
--
-- A match locks the row of app.credentials to the end of the transaction, and looks again: a
-- password that is changed while bcrypt computes starts no session any more, and a change sees
-- every session that the old password started.
create function app.password_matches(user_id bigint, password text)
returns boolean
language plpgsql
volatile
as $$
declare
  v_hash text;
  v_is_equal boolean;
begin
  select c.password_hash
    into v_hash
    from app.credentials c
    where c.user_id = password_matches.user_id;
  if not found then
    perform app.password_hash(coalesce(password, ''));
    return false;
  end if;
  v_is_equal := app.bcrypt(coalesce(password, ''), v_hash) = v_hash;
  -- bcrypt reads no more than 72 bytes: a longer password with the right beginning is wrong.
  if not v_is_equal or octet_length(password) > 72 then
    return false;
  end if;
  perform from app.credentials c
    where c.user_id = password_matches.user_id and c.password_hash = v_hash
    for no key update;
  return found;
end
$$;

comment on function app.password_matches(bigint, text) is 'Whether this is the user''s password; takes as long for a user that does not exist';

-- Both through response.status, not raised: the transaction commits, so that what a later caller
-- counts about failed logins stays counted.
create function app.credentials_refused()
returns json
language plpgsql
volatile
as $$
begin
  perform set_config('response.status', '401', true);
  perform app.response_header('WWW-Authenticate', 'Bearer');
  return json_build_object(
    'code', 'invalid_credentials',
    'message', 'Username or password is wrong.',
    'details', null,
    'hint', 'Check both and try again.'
  );
end
$$;

comment on function app.credentials_refused() is 'The one answer to a wrong username and a wrong password: 401';

-- 403: the token is good, so a client must not take this for the end of its session.
create function app.password_refused()
returns json
language plpgsql
volatile
as $$
begin
  perform set_config('response.status', '403', true);
  return json_build_object(
    'code', 'wrong_password',
    'message', 'The password is wrong; nothing was changed.',
    'details', null,
    'hint', 'Send the current password of this account.'
  );
end
$$;

comment on function app.password_refused() is 'The answer to a wrong password of somebody who is logged in: 403';

commit;
