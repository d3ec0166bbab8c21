-- Revert microblog:functions/feed_drift from pg

begin;

drop function dba.feed_drift;

commit;
