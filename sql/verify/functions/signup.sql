-- Verify microblog:functions/signup on pg

begin;

select 'app.username_require'::regproc;
select 'api.signup'::regproc;

rollback;
