-- Revert microblog:functions/rate_limit_end from pg

begin;

drop function app.rate_limit_end;

commit;
