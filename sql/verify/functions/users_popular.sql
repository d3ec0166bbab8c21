-- Verify microblog:functions/users_popular on pg

begin;

select 'api.users_popular'::regproc;

rollback;
