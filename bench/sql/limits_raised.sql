-- Every rule counts and reports, and none refuses: what a request costs with rate limits.
update app.rate_limits
set is_enabled = true, quota = 1000000000
where not is_enabled or quota <> 1000000000;
