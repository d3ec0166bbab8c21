-- Verify microblog:functions/feed_drift on pg

begin;

select 'dba.feed_drift'::regproc;

rollback;
