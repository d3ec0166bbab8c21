\set follower random(2, 20000)
\set followed random(2, 20000)
begin;
delete from app.follows where follower_id = :follower and followed_id = :followed;
insert into app.follows (follower_id, followed_id) select :follower, :followed where :follower <> :followed on conflict do nothing;
commit;
