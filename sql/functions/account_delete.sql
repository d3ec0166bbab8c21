-- Deploy microblog:functions/account_delete to pg
-- requires: functions/password_check
-- requires: functions/account_close

begin;
set local role microblog_owner;

create function api.account_delete(password text default null)
returns json
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
  if not app.password_matches(app.current_user_id(), account_delete.password) then
    return app.password_refused();
  end if;
  perform app.account_close(app.current_user_id());
  perform set_config('response.status', '204', true);
  return null;
end
$$;

comment on function api.account_delete(text) is
$$Delete one's account

The profile, follows and sessions go; posts stay, without an author. A large account is hidden at
once and removed in the background. 403 if the password is wrong.$$;

grant execute on function api.account_delete(text) to member;

commit;
