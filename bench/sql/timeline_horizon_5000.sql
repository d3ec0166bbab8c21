\set number random(1, :horizon_5000)
begin;
set local role member;
select set_config('microblog.user_id', p.user_id::text, true), set_config('request.path', '/rpc/feed_timeline', true), p.cursor::text as cursor from bench.people p where p.kind = 'horizon_5000' and p.number = :number \gset
select json_agg(t) from api.feed_timeline(:cursor::text) t;
commit;
