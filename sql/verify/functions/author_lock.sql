-- Verify microblog:functions/author_lock on pg

begin;

select 'app.author_lock'::regproc;
select 'app.author_lock_shared'::regproc;

rollback;
