\set follower random(22, :users)
begin;
delete from app.follows where follower_id = :follower and followed_id = 1;
insert into app.follows (follower_id, followed_id) values (:follower, 1) on conflict do nothing;
commit;
