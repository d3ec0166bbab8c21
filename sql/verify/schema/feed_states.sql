-- Verify microblog:schema/feed_states on pg

begin;

select user_id, delivered_from, complete_from, active_until, returns from app.feed_states where false;
select post_id, is_only from app.feed_horizon where false;
select author_id, from_id, to_id from app.pull_ranges where false;

rollback;
