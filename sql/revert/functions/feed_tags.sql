-- Revert microblog:functions/feed_tags from pg

begin;

drop function app.feed_tag_cards;
drop function app.feed_tag_rows;

commit;
