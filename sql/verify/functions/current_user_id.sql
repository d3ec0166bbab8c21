-- Verify microblog:functions/current_user_id on pg

begin;

select 'app.current_user_id'::regproc;

rollback;
