-- Revert microblog:functions/feed_below from pg

begin;

drop function app.feed_below;

commit;
