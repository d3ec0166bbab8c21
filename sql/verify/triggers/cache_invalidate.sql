-- Verify microblog:triggers/cache_invalidate on pg

begin;

select 'app.tg_posts__cache_invalidate'::regproc, 'app.tg_users__cache_invalidate'::regproc,
  'app.tg_settings__cache_invalidate'::regproc;
select 1 / (count(*) - 3)
from pg_trigger
where tgrelid in ('app.posts'::regclass, 'app.users'::regclass, 'app.settings'::regclass)
  and tgname like 't50\_cache\_invalidate%' and tgenabled <> 'D';

rollback;
