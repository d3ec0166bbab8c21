-- Verify microblog:triggers/api_posts_insert on pg

begin;

select 'app.tg_api_posts__insert'::regproc;
select 1 / count(*)
from pg_trigger
where tgrelid = 'api.posts'::regclass and tgname = 't20_insert' and tgenabled <> 'D';
select 1 / count(*)
from pg_trigger
where tgrelid = 'api.posts'::regclass and tgname = 't30_insert_row_require' and tgenabled <> 'D';

rollback;
