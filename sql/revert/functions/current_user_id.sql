-- Revert microblog:functions/current_user_id from pg

begin;

drop function app.current_user_id;

commit;
