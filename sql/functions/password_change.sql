-- Deploy microblog:functions/password_change to pg
-- requires: functions/password_check
-- requires: functions/logout

begin;
set local role microblog_owner;

create function api.password_change(
  current_password text default null,
  new_password text default null
)
returns json
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  perform app.password_require(new_password);
  if not app.password_matches(app.current_user_id(), current_password) then
    return app.password_refused();
  end if;
  update app.credentials c
    set password_hash = app.password_hash(new_password), changed_at = now()
    where c.user_id = app.current_user_id();
  delete from app.sessions s
    where s.user_id = app.current_user_id() and s.jti <> app.current_jti();
  perform set_config('response.status', '204', true);
  return null;
end
$$;

comment on function api.password_change(text, text) is
$$Change one's password

Ends every other session; this one goes on. 403 if the current password is wrong.$$;

grant execute on function api.password_change(text, text) to member;

commit;
