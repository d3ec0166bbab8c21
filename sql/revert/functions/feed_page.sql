-- Revert microblog:functions/feed_page from pg

begin;

drop function app.feed_page;

commit;
