-- Revert microblog:functions/health from pg

begin;

drop function api.health;
drop function api.up;
revoke select on sqitch.changes, sqitch.tags from microblog_owner;
revoke usage on schema sqitch from microblog_owner;

commit;
