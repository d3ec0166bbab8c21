-- Revert microblog:functions/signup from pg

begin;

drop function api.signup;
drop function app.username_require;

commit;
