begin;
call bench.chunk_reference();
rollback;
