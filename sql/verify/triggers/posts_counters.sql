-- Verify microblog:triggers/posts_counters on pg

begin;

select 'app.tg_posts__counters'::regproc;
select 1 / count(*)
from pg_trigger
where tgrelid = 'app.posts'::regclass and tgname = 't30_counters_insert' and tgenabled <> 'D';
select 1 / count(*)
from pg_trigger
where tgrelid = 'app.posts'::regclass and tgname = 't30_counters_delete' and tgenabled <> 'D';

rollback;
