-- Verify microblog:schema/dba_rate_limits on pg

begin;

select rule, quota, window_seconds, scope, is_enabled, is_dry_run, keys, hits, refusals, busiest_key, busiest_hits
from dba.rate_limits where false;
select rule, key, quota, hits_in_window, hits, refusals, last_hit_at from dba.rate_limit_keys where false;
select 'dba.rate_limit_forget'::regproc;

rollback;
