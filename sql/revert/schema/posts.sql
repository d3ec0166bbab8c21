-- Revert microblog:schema/posts from pg

begin;

drop table app.post_counter_deltas;
drop table app.posts;

commit;
