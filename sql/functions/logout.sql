-- Deploy microblog:functions/logout to pg
-- requires: schema/sessions
-- requires: functions/current_user_id

begin;
set local role microblog_owner;

create function app.current_jti()
returns text
language sql
stable
return nullif(current_setting('request.jwt.claims', true), '')::json ->> 'jti';

comment on function app.current_jti() is 'Session of this request''s token';

create function api.logout("all" boolean default false)
returns void
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  delete from app.sessions s
    where s.user_id = app.current_user_id()
      and (coalesce("all", false) or s.jti = app.current_jti());
end
$$;

comment on function api.logout(boolean) is
$$End this session

The token is dead at once. {"all": true} ends every session of the user.$$;

grant execute on function api.logout(boolean) to member;

commit;
