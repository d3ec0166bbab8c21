-- Verify microblog:triggers/follows_feed_cleanup on pg

begin;

select 'app.tg_follows__feed_cleanup'::regproc;
select 1 / count(*)
from pg_trigger
where tgrelid = 'app.follows'::regclass and tgname = 't20_feed_cleanup' and tgenabled <> 'D';

rollback;
