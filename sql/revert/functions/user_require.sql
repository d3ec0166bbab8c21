-- Revert microblog:functions/user_require from pg

begin;

drop type app.page_user;
drop function app.user_require;

commit;
