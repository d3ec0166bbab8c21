-- Verify microblog:functions/response_header on pg

begin;

select 'app.response_header'::regproc;

rollback;
