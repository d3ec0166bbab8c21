select pg_total_relation_size('bench.storage_reference')::float8 / count(*) from bench.storage_reference
