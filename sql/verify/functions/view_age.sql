-- Verify microblog:functions/view_age on pg

begin;

select 'app.view_age'::regproc;

rollback;
