-- Revert microblog:schema/feed_states from pg

begin;

drop table app.pull_ranges;
drop table app.feed_horizon;
drop table app.feed_states;

commit;
