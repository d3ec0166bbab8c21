-- Revert microblog:triggers/cache_invalidate from pg

begin;

drop trigger t50_cache_invalidate on app.settings;
drop trigger t50_cache_invalidate_delete on app.users;
drop trigger t50_cache_invalidate_update on app.users;
drop trigger t50_cache_invalidate on app.posts;
drop function app.tg_settings__cache_invalidate;
drop function app.tg_users__cache_invalidate;
drop function app.tg_posts__cache_invalidate;

commit;
