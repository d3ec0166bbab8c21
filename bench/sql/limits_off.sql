-- No rule is asked: what a request costs without rate limits.
update app.rate_limits set is_enabled = false where is_enabled;
