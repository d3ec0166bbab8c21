\set number random(1, :active)
begin;
set local role member;
select set_config('microblog.user_id', p.user_id::text, true) from bench.people p where p.kind = 'active' and p.number = :number;
insert into api.posts (content) values ('Written, and left there.');
commit;
