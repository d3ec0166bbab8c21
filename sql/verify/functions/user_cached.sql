-- Verify microblog:functions/user_cached on pg

begin;

select 'api.user_cached'::regproc;

rollback;
