-- Verify microblog:functions/pre_request on pg

begin;

select 'app.pre_request'::regproc;

rollback;
