-- Verify microblog:schema/follows on pg

begin;

select follower_id, followed_id, created_at from app.follows where false;

rollback;
