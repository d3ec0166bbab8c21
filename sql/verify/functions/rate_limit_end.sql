-- Verify microblog:functions/rate_limit_end on pg

begin;

select 'app.rate_limit_end'::regproc;

rollback;
