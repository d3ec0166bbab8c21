-- Deploy microblog:functions/user_require to pg
-- requires: schema/users
-- requires: functions/http_error

begin;
set local role microblog_owner;

create function app.user_require(user_id bigint)
returns bigint
language plpgsql
stable
as $$
begin
  if user_id is null then
    perform app.http_error(400, 'user_id_required', 'Which user? user_id is missing.',
      'Add ?user_id=<id of a user>.');
  elsif not exists (select from app.users u where u.id = user_require.user_id) then
    perform app.http_error(404, 'user_not_found', format('There is no user %s.', user_id),
      'Find people with GET /users?username=eq.<name>.');
  end if;
  return user_id;
end
$$;

comment on function app.user_require(bigint) is 'The id of a user whom the caller may see; 404 otherwise';

grant execute on function app.user_require(bigint) to anon, member;

create type app.page_user as (
  id bigint,
  username text,
  description text
);

comment on type app.page_user is 'A person on a page';

commit;
