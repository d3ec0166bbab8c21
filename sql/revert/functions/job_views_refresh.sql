-- Revert microblog:functions/job_views_refresh from pg

begin;

delete from app.job_schedules where kind = 'views_refresh';
drop function app.views_expire;
drop function app.job_views_refresh;

commit;
