-- Verify microblog:functions/rate_limit_here on pg

begin;

select 'app.rate_limit_hit_here'::regproc;
select 'app.rate_limit_take_here'::regproc;

rollback;
