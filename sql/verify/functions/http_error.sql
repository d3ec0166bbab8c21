-- Verify microblog:functions/http_error on pg

begin;

select 'app.http_error'::regproc;
select 'app.busy'::regproc;

rollback;
