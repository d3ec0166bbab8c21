-- Verify microblog:functions/counters_add on pg

begin;

select 'app.user_counters_add'::regproc;
select 'app.post_counters_add'::regproc;

rollback;
