\set reader random(12, 21)
begin;
set local role member;
select set_config('microblog.user_id', :reader::text, true), set_config('request.path', '/rpc/feed_timeline', true);
select json_agg(t) from api.feed_timeline() t;
commit;
