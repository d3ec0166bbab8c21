-- Deploy microblog:triggers/api_posts_delete to pg
-- requires: schema/api_posts
-- requires: functions/filter_require
-- requires: functions/row_require

begin;
set local role microblog_owner;

create function app.tg_api_posts__delete()
returns trigger
language plpgsql
volatile
as $$
begin
  if old.author_id is distinct from app.current_user_id() then
    perform app.http_error(403, 'not_yours', 'Only one''s own posts can be deleted.',
      format('Post %s is somebody else''s; nothing was deleted.', old.id));
  end if;
  if not app.row_written() then
    return null;
  end if;
  begin
    delete from app.posts p where p.id = old.id;
  exception
    when lock_not_available or deadlock_detected then
      perform app.busy();
  end;
  return old;
end
$$;

comment on function app.tg_api_posts__delete() is 'DELETE /posts: one''s own, anybody else''s is 403';

create trigger t10_filter_require
before delete on api.posts
for each statement
execute function app.tg_api__filter_require();

create trigger t20_delete
instead of delete on api.posts
for each row
execute function app.tg_api_posts__delete();

create trigger t30_delete_row_require
after delete on api.posts
for each statement
execute function app.tg_api__row_require(
  '404', 'post_not_found', 'There is no such post; nothing was deleted.',
  'It may have been deleted already.'
);

commit;
