\set readers least(:readers, :users)
\set user 1 + random(0, :readers - 1) * :users / :readers
begin;
set local role member;
select set_config('microblog.user_id', bench.reader_from(:user)::text, true), set_config('request.path', '/rpc/feed_timeline', true);
select json_agg(t) from api.feed_timeline() t;
commit;
