begin;
call bench.chunk_floor();
rollback;
