-- Revert microblog:functions/rate_limit_hit from pg

begin;

drop function app.rate_limit_hit;
drop function app.rate_limit_ask;
drop function app.rate_limit_rules;
drop function app.rate_limit_report;
drop function app.rate_limit_address;
drop function app.rate_limit_connect;

commit;
