-- Revert microblog:functions/feed_deliver from pg

begin;

drop function app.author_tier_settle;
drop function app.pull_from;
drop function app.is_pulled;

commit;
