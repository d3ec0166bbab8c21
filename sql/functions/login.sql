-- Deploy microblog:functions/login to pg
-- requires: functions/jwt
-- requires: functions/password_check
-- requires: functions/rate_limit_end

begin;
set local role microblog_owner;

create function api.login(username text default null, password text default null)
returns json
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_user_id bigint;
begin
  -- Before anything else: a login that is refused tries no password.
  perform app.rate_limit_end(1, login.username);
  if login.username is null or login.password is null then
    perform app.http_error(400, 'credentials_required', 'Username and password are both needed.',
      'Send {"username": "…", "password": "…"}.');
  end if;
  perform app.rate_limit_hit(username => login.username);
  -- To the collation of usernames other names are equal to this one: with a wide letter, with a soft
  -- hyphen in it. Each is counted by itself above, so that none of them may lead to an account.
  select u.id
    into v_user_id
    from app.users u
    where u.username = login.username
      and u.deleted_at is null
      and login.username collate "C" ~ '^[A-Za-z0-9_]{1,50}$';
  if not app.password_matches(v_user_id, login.password) then
    return app.credentials_refused();
  end if;
  return coalesce(app.session_start(v_user_id), app.credentials_refused());
end
$$;

comment on function api.login(text, text) is
$$Get a token

Answers {token, token_type, expires_at, user}. 401 with one and the same message for a wrong
username and a wrong password; 429 after too many of either.$$;

grant execute on function api.login(text, text) to anon, member;

commit;
