-- Verify microblog:triggers/posts_feed_cleanup on pg

begin;

select 'app.tg_posts__feed_cleanup'::regproc;
select 1 / count(*)
from pg_trigger
where tgrelid = 'app.posts'::regclass and tgname = 't20_feed_cleanup' and tgenabled <> 'D';

rollback;
