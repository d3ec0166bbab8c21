-- Revert microblog:schema/rate_limits from pg

begin;

drop table app.rate_limit_totals;
drop table app.rate_limit_refusals;
drop table app.rate_limit_buckets;
drop table app.rate_limit_exemptions;
drop table app.rate_limits;

commit;
