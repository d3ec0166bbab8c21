-- Deploy microblog:triggers/api_follows_write to pg
-- requires: schema/api_follows
-- requires: functions/filter_require
-- requires: functions/row_require

begin;
set local role microblog_owner;

create function app.tg_api_follows__insert()
returns trigger
language plpgsql
volatile
as $$
begin
  if not app.row_written() then
    return null;
  end if;
  new.follower_id := app.current_user_id();
  if new.followed_id is null then
    perform app.http_error(400, 'followed_id_required', 'Whom to follow is missing.',
      'Send {"followed_id": <id of a user>}.');
  elsif new.followed_id = new.follower_id then
    perform app.http_error(400, 'self_follow', 'Nobody can follow themselves.',
      'One''s own posts are in one''s timeline anyway.');
  elsif not exists (select from app.users u where u.id = new.followed_id) then
    perform app.http_error(404, 'user_not_found', format('There is no user %s.', new.followed_id),
      'Find people with GET /users?username=eq.<name>.');
  end if;

  begin
    insert into app.follows as f (followed_id)
      values (new.followed_id)
      on conflict on constraint follows_pkey do nothing
      returning f.created_at into new.created_at;
  exception
    when foreign_key_violation then
      perform app.http_error(404, 'user_not_found',
        format('There is no user %s any more.', new.followed_id),
        'The account was deleted at the same moment.');
    when lock_not_available or deadlock_detected then
      perform app.busy();
  end;
  if new.created_at is null then
    select f.created_at
      into new.created_at
      from app.follows f
      where f.follower_id = new.follower_id and f.followed_id = new.followed_id;
  end if;
  return new;
end
$$;

comment on function app.tg_api_follows__insert() is 'POST /follows: a repeat changes nothing';

create trigger t20_insert
instead of insert on api.follows
for each row
execute function app.tg_api_follows__insert();

create trigger t30_insert_row_require
after insert on api.follows
for each statement
execute function app.tg_api__row_require(
  '400', 'body_empty', 'The body names nobody.', 'Send a JSON object: {"followed_id": <id of a user>}.'
);

-- Unfollowing needs no trigger of its own: the view is updatable, and the policy follows_delete
-- narrows the statement to one's own rows, so that it is a look-up by primary key even where the
-- followed have a million followers. The guard therefore stands on the table.
create trigger t10_filter_require
before delete on app.follows
for each statement
execute function app.tg_api__filter_require();

create function app.tg_follows__rows_count()
returns trigger
language plpgsql
volatile
as $$
declare
  v_rows constant integer := (select count(*) from gone);
begin
  if v_rows > 1 and coalesce(current_setting('microblog.refusing', true), '') = '' then
    perform app.rate_limit_hit(further_rows => v_rows - 1);
  end if;
  perform app.rate_limit_end(v_rows);
  return null;
end
$$;

comment on function app.tg_follows__rows_count() is
  'Counts what a request unfollows against its limits';

-- First of all: what is refused shall not have done the work of the others.
create trigger t10_rows_count
after delete on app.follows
referencing old table as gone
for each statement
execute function app.tg_follows__rows_count();

commit;
