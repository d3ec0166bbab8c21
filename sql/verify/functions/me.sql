-- Verify microblog:functions/me on pg

begin;

select 'api.me'::regproc;

rollback;
