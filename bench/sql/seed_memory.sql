select memory_mib::float8 / 1024 from bench.data
