-- Deploy microblog:triggers/cache_invalidate to pg
-- requires: schema/cache
-- requires: schema/posts
-- requires: schema/users
--
-- What must not go on being shown: deleted posts and accounts, old names and descriptions. New posts,
-- replies and counts wait for the end of a lifetime, so that the usual write tells the proxy nothing.
--
-- A notification goes out after the commit, so whatever the proxy keeps under the new version was
-- read after it. Several of one transaction are sent as one. NOTIFY takes a lock of the whole
-- server at commit, which none of these writes is frequent enough to feel.

begin;
set local role microblog_owner;

create function app.tg_posts__cache_invalidate()
returns trigger
language plpgsql
volatile
as $$
begin
  if exists (select from old_posts p where not p.is_reply) then
    perform pg_notify('microblog_cache', '/rpc/feed_public_cached');
  end if;
  return null;
end
$$;

comment on function app.tg_posts__cache_invalidate() is 'Deleted posts leave the shared public page';

create trigger t50_cache_invalidate
after delete on app.posts
referencing old table as old_posts
for each statement
execute function app.tg_posts__cache_invalidate();

create function app.tg_users__cache_invalidate()
returns trigger
language plpgsql
volatile
as $$
begin
  perform pg_notify('microblog_cache', '/rpc/user_cached/' || old.id % 64);
  perform pg_notify('microblog_cache', '/rpc/users_popular');
  if tg_op = 'DELETE'
    or (old.username collate "C", old.deleted_at) is distinct from (new.username collate "C", new.deleted_at)
  then
    perform pg_notify('microblog_cache', '/rpc/feed_public_cached');
  end if;
  return null;
end
$$;

comment on function app.tg_users__cache_invalidate() is
  'Changed and deleted accounts leave shared profiles and, where their name shows, shared pages';

create trigger t50_cache_invalidate_update
after update of username, description, deleted_at on app.users
for each row
when (
  (old.username collate "C", old.description collate "C", old.deleted_at)
  is distinct from (new.username collate "C", new.description collate "C", new.deleted_at)
)
execute function app.tg_users__cache_invalidate();

create trigger t50_cache_invalidate_delete
after delete on app.users
for each row
execute function app.tg_users__cache_invalidate();

create function app.tg_settings__cache_invalidate()
returns trigger
language plpgsql
volatile
as $$
begin
  if new.name in (select c.lifetime_setting from app.cached_calls c) then
    perform pg_notify('microblog_cache', 'all');
  end if;
  return null;
end
$$;

comment on function app.tg_settings__cache_invalidate() is 'A changed lifetime holds for what is shared already';

create trigger t50_cache_invalidate
after update of value on app.settings
for each row
execute function app.tg_settings__cache_invalidate();

commit;
