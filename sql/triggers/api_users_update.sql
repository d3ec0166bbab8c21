-- Deploy microblog:triggers/api_users_update to pg
-- requires: schema/api_users
-- requires: functions/filter_require
-- requires: functions/row_require
-- requires: functions/signup

begin;
set local role microblog_owner;

-- Invoker rights: what a member may write is still decided by the grants and policies of
-- app.users; this only says it in words.
create function app.tg_api_users__update()
returns trigger
language plpgsql
volatile
as $$
begin
  if not app.row_written() then
    return null;
  end if;
  if old.id is distinct from app.current_user_id() then
    perform app.http_error(403, 'not_yours', 'Only one''s own profile can be changed.',
      format('Yours is /users?id=eq.%s.', app.current_user_id()));
  end if;
  perform app.username_require(new.username);
  new.description := coalesce(new.description, '');
  if char_length(new.description) > 120 then
    perform app.http_error(400, 'description_too_long',
      format('A description has at most 120 characters; this one has %s.', char_length(new.description)),
      'Shorten it. Characters are counted as Unicode code points.');
  end if;

  -- Only what changes: another request may be changing the other column.
  begin
    update app.users u
      set
        username = case
          when new.username collate "C" is distinct from old.username collate "C" then new.username
          else u.username
        end,
        description = case
          when new.description is distinct from old.description then new.description
          else u.description
        end
      where u.id = old.id
      returning u.username, u.description into new.username, new.description;
  exception
    when unique_violation then
      perform app.http_error(409, 'username_taken',
        format('The username %s is taken.', new.username),
        'Choose another; upper and lower case do not tell names apart.');
    when lock_not_available or deadlock_detected then
      perform app.busy();
  end;
  return new;
end
$$;

comment on function app.tg_api_users__update() is 'PATCH /users: one''s own username and description';

grant execute on function app.username_require(text) to member;

create trigger t10_filter_require
before update on api.users
for each statement
execute function app.tg_api__filter_require();

create trigger t20_update
instead of update on api.users
for each row
execute function app.tg_api_users__update();

create trigger t30_update_row_require
after update on api.users
for each statement
execute function app.tg_api__row_require(
  '404', 'user_not_found', 'There is no such user; nothing was changed.',
  'One''s own id is in GET /rpc/me.'
);

commit;
