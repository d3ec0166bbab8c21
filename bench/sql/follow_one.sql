\set number random(1, 2000)
select p.follower_id as follower, p.followed_id as followed from bench.pairs p where p.kind = 'one' and p.number = :number \gset
begin;
delete from app.follows where follower_id = :follower and followed_id = :followed;
insert into app.follows (follower_id, followed_id) values (:follower, :followed) on conflict do nothing;
commit;
