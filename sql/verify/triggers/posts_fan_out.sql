-- Verify microblog:triggers/posts_fan_out on pg

begin;

select 'app.tg_posts__fan_out'::regproc;
select 1 / count(*)
from pg_trigger
where tgrelid = 'app.posts'::regclass and tgname = 't20_fan_out' and tgenabled <> 'D';

rollback;
