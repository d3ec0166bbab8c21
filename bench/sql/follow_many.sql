\set follower random(22, :users)
\set followed random(22, :users)
begin;
delete from app.follows where follower_id = :follower and followed_id = :followed;
insert into app.follows (follower_id, followed_id) select :follower, :followed where :follower <> :followed on conflict do nothing;
commit;
