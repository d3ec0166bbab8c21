-- Verify microblog:functions/job_views_refresh on pg

begin;

select 'app.job_views_refresh'::regproc, 'app.views_expire'::regproc;
select 1 / count(*) from app.job_schedules where kind = 'views_refresh';

rollback;
