-- Revert microblog:functions/feed_rows from pg

begin;

drop function app.feed_rows;
drop function app.feed_ids;

commit;
