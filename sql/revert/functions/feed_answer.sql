-- Revert microblog:functions/feed_answer from pg

begin;

drop function app.feed_answers;
drop function app.feed_body;
revoke usage on schema app from proxy;

commit;
