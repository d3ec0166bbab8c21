\set number random(0, 4)
begin;
call bench.fan_out(:followers, :number);
rollback;
