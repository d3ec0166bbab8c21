-- Verify microblog:functions/bcrypt on pg

begin;

select 'app.bcrypt'::regproc;

rollback;
