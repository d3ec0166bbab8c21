select pg_total_relation_size('bench.user_feeds')::float8 / nullif(count(*), 0) from bench.user_feeds
