-- Revert microblog:functions/post_id from pg

begin;

drop function app.post_id_next;
drop function app.post_created_at;
drop function app.post_id_at;
drop sequence app.post_id_seq;

commit;
