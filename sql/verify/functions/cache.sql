-- Verify microblog:functions/cache on pg

begin;

select 'app.cache_shared'::regproc, 'dba.cache_invalidate'::regproc, 'app.cache_keep'::regproc,
  'app.cache_report'::regproc;

rollback;
