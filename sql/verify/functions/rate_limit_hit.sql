-- Verify microblog:functions/rate_limit_hit on pg

begin;

select 'app.rate_limit_hit'::regproc;
select 'app.rate_limit_rules'::regproc;
select 'app.rate_limit_headers'::regproc;
select 'app.rate_limit_refuse_request'::regproc;
select 'app.rate_limit_tell'::regproc;
select 'app.rate_limit_is_exempt'::regproc;
select 'app.rate_limit_address'::regproc;
select 'app.rate_limit_inet'::regproc;
select 'app.rate_limit_reconnect'::regproc;
select 'app.rate_limits_unavailable'::regproc;
select 'app.rate_limit_connect'::regproc;

rollback;
