begin;
call bench.chunk();
rollback;
