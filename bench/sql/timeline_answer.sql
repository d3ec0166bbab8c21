\set number random(1, least(:active, 3000))
select app.feed_answers(array(select t.token from bench.tokens t where t.number = :number), '{GET}', '{/rpc/feed_timeline}', array[''], array[''], '{1}', array[''], '{127.0.0.1}', '{t}', 60000);
