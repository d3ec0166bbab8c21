call bench.chunk_floor();
