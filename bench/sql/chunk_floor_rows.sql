-- Whether the chunk that scripts roll back is all of its rows; a row for each author of whom it is not.
select bench.chunk_problems('call bench.chunk_floor()', 'app.feed_entries')
