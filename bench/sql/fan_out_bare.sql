call bench.fan_out_bare();
