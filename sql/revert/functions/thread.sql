-- Revert microblog:functions/thread from pg

begin;

drop function api.thread;

commit;
