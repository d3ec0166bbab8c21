-- Verify microblog:triggers/posts_normalize on pg

begin;

select 'app.tg_posts__normalize'::regproc;
select 'app.tg_posts__keep'::regproc;
select 1 / (count(*) - 1)
from pg_trigger
where tgrelid = 'app.posts'::regclass and tgname in ('t10_normalize', 't10_keep')
  and tgenabled <> 'D';

rollback;
