-- Verify microblog:triggers/posts_normalize on pg

begin;

select 'app.tg_posts__normalize'::regproc;
select 1 / count(*)
from pg_trigger
where tgrelid = 'app.posts'::regclass and tgname = 't10_normalize' and tgenabled <> 'D';

rollback;
