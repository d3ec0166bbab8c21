call bench.fan_out_chunked();
