\set number random(1, least(:active, 3000))
select app.feed_answer((select t.token from bench.tokens t where t.number = :number), 'GET', '/rpc/feed_timeline', '', '', '1', '', '127.0.0.1', true);
