-- Revert microblog:functions/counters_add from pg

begin;

drop function app.post_counters_add;
drop function app.user_counters_add;

commit;
