-- Verify microblog:triggers/api_posts_delete on pg

begin;

select 'app.tg_api_posts__delete'::regproc;
select 1 / count(*)
from pg_trigger
where tgrelid = 'api.posts'::regclass and tgname = 't10_filter_require' and tgenabled <> 'D';
select 1 / count(*)
from pg_trigger
where tgrelid = 'api.posts'::regclass and tgname = 't20_delete' and tgenabled <> 'D';
select 1 / count(*)
from pg_trigger
where tgrelid = 'api.posts'::regclass and tgname = 't30_delete_row_require' and tgenabled <> 'D';

rollback;
