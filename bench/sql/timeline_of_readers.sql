\set number random(1, least(:active, :readers))
begin;
set local role member;
select set_config('microblog.user_id', p.user_id::text, true), set_config('request.path', '/rpc/feed_timeline', true) from bench.people p where p.kind = 'active' and p.number = :number;
select json_agg(t) from api.feed_timeline() t;
commit;
