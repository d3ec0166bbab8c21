-- Revert microblog:functions/rate_limit_take from pg

begin;

drop function app.rate_limit_refuse;
drop function app.rate_limit_take;
drop function app.rate_limit_hits;
revoke insert on app.rate_limit_refusals from limiter;
revoke select, insert, update on app.rate_limit_buckets from limiter;
revoke usage on schema app from limiter;

commit;
