-- Verify microblog:triggers/api_users_update on pg

begin;

select 'app.tg_api_users__update'::regproc;
select 1 / count(*)
from pg_trigger
where tgrelid = 'api.users'::regclass and tgname = 't10_filter_require' and tgenabled <> 'D';
select 1 / count(*)
from pg_trigger
where tgrelid = 'api.users'::regclass and tgname = 't20_update' and tgenabled <> 'D';
select 1 / count(*)
from pg_trigger
where tgrelid = 'api.users'::regclass and tgname = 't30_update_row_require' and tgenabled <> 'D';

rollback;
