select floor_seconds from bench.data
