select pg_total_relation_size('bench.storage_ours')::float8 / count(*) from bench.storage_ours
