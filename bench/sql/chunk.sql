call bench.chunk();
