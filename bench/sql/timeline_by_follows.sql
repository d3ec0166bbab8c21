\set number random(1, 100)
begin;
set local role member;
select set_config('microblog.user_id', r.user_id::text, true), set_config('request.path', '/rpc/feed_timeline', true) from bench.readers r where r.follows = :follows and r.number = :number;
select json_agg(t) from api.feed_timeline() t;
commit;
