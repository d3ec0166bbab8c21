-- Revert microblog:functions/feed_unchanged from pg

begin;

drop function app.feed_unchanged;
drop function app.feed_tag_cards;
drop function app.feed_tag_rows;
revoke usage on schema app from proxy;

commit;
