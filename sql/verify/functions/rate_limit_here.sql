-- Verify microblog:functions/rate_limit_here on pg

begin;

select 'app.rate_limit_hit_here'::regproc;

rollback;
