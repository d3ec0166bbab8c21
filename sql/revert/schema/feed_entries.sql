-- Revert microblog:schema/feed_entries from pg

begin;

drop table app.feed_entries;

commit;
