-- Revert microblog:functions/rate_limit_hit from pg

begin;

drop function app.rate_limit_hit;
drop function app.rate_limit_refuse_request;
drop function app.rate_limit_tell;
drop function app.rate_limit_rules;
drop function app.rate_limit_headers;
drop function app.rate_limit_is_exempt;
drop function app.rate_limit_address;
drop function app.rate_limit_inet;
drop function app.rate_limit_reconnect;
drop function app.rate_limits_unavailable;
drop function app.rate_limit_connect;

commit;
