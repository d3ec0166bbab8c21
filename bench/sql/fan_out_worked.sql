call bench.fan_out_worked();
