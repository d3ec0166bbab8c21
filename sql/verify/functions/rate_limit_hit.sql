-- Verify microblog:functions/rate_limit_hit on pg

begin;

select 'app.rate_limit_hit'::regproc;
select 'app.rate_limit_ask'::regproc;
select 'app.rate_limit_rules'::regproc;
select 'app.rate_limit_report'::regproc;
select 'app.rate_limit_address'::regproc;
select 'app.rate_limit_connect'::regproc;

rollback;
