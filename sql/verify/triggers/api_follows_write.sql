-- Verify microblog:triggers/api_follows_write on pg

begin;

select 'app.tg_api_follows__insert'::regproc;
select 1 / count(*)
from pg_trigger
where tgrelid = 'api.follows'::regclass and tgname = 't20_insert' and tgenabled <> 'D';
select 1 / count(*)
from pg_trigger
where tgrelid = 'api.follows'::regclass and tgname = 't30_insert_row_require' and tgenabled <> 'D';
select 1 / count(*)
from pg_trigger
where tgrelid = 'app.follows'::regclass and tgname = 't10_filter_require' and tgenabled <> 'D';
select 1 / count(*)
from pg_trigger
where tgrelid = 'app.follows'::regclass and tgname = 't10_rows_count' and tgenabled <> 'D';

rollback;
