-- Verify microblog:schema/rate_limits on pg

begin;

select id, name, methods, path_pattern, scope, quota, window_seconds, counts_rows, is_enabled, is_dry_run, description
from app.rate_limits where false;
select id, address, user_id, note from app.rate_limit_exemptions where false;
select rule_id, window_seconds, key, slot, quota, hit_count, past_counts, refusal_count
from app.rate_limit_buckets where false;
select rule_id, window_seconds, key from app.rate_limit_refusals where false;
select rule_id, hit_count, refusal_count from app.rate_limit_totals where false;
select 1 / count(*) from app.rate_limits where name = 'address';

rollback;
