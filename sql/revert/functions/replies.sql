-- Revert microblog:functions/replies from pg

begin;

drop function api.replies;
drop function app.post_require;

commit;
