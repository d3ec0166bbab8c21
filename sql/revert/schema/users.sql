-- Revert microblog:schema/users from pg

begin;

drop table app.credentials;
drop view app.user_counts;
drop table app.user_counter_deltas;
drop table app.user_counters;
drop table app.users;

commit;
