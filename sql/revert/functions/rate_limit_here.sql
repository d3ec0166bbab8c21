-- Revert microblog:functions/rate_limit_here from pg

begin;

drop function app.rate_limit_hit_here;
drop function app.rate_limit_take_here;

commit;
