-- Verify microblog:schema/users on pg

begin;

select id, username, description, created_at, deleted_at from app.users where false;
select user_id, followers_count, following_count, posts_count from app.user_counters where false;
select user_id, id, followers, following, posts from app.user_counter_deltas where false;
select 1 from app.user_counts where false;
select user_id, password_hash, changed_at from app.credentials where false;

rollback;
