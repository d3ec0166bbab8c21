-- Deploy microblog:functions/signup to pg
-- requires: functions/jwt
-- requires: functions/password_check
-- requires: triggers/users_lifecycle

begin;
set local role microblog_owner;

create function app.username_require(username text)
returns void
language plpgsql
volatile
as $$
begin
  if username is null or username collate "C" !~ '^[A-Za-z0-9_]{1,50}$' then
    perform app.http_error(400, 'username_invalid',
      'A username has 1 to 50 characters: letters A–Z and a–z, digits, underscore.',
      'Leave out spaces, dots, dashes and accents.');
  end if;
end
$$;

comment on function app.username_require(text) is 'Refuses a malformed username in words';

create function api.signup(username text default null, password text default null)
returns json
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_user_id bigint;
begin
  perform app.username_require(signup.username);
  perform app.password_require(signup.password);

  insert into app.users (username)
    values (signup.username)
    on conflict do nothing
    returning id into v_user_id;
  if not found then
    perform app.http_error(409, 'username_taken',
      format('The username %s is taken.', signup.username),
      'Choose another; upper and lower case do not tell names apart.');
  end if;
  insert into app.credentials (user_id, password_hash)
    values (v_user_id, app.password_hash(signup.password));

  perform set_config('response.status', '201', true);
  return app.session_start(v_user_id);
end
$$;

comment on function api.signup(text, text) is
$$Create an account

Username: 1–50 characters of A–Z, a–z, 0–9, underscore. Password: at least 8 characters, at most
72 bytes. Answers 201 with {token, token_type, expires_at, user}; 409 if the name is taken.$$;

grant execute on function api.signup(text, text) to anon, member;

commit;
