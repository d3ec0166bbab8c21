-- Verify microblog:functions/followers on pg

begin;

select 'api.followers'::regproc;

rollback;
