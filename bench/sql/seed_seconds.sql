select seconds from bench.data
