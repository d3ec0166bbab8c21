-- Verify microblog:schema/feed_entries on pg

begin;

select user_id, post_id from app.feed_entries where false;

rollback;
