-- Verify microblog:functions/feed_answer on pg

begin;

select 'app.feed_body'::regproc;
select 'app.feed_answer'::regproc;

rollback;
