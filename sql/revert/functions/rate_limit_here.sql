-- Revert microblog:functions/rate_limit_here from pg

begin;

drop function app.rate_limit_hit_here;

commit;
