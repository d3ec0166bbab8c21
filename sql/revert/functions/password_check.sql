-- Revert microblog:functions/password_check from pg

begin;

drop function app.password_refused;
drop function app.credentials_refused;
drop function app.password_matches;
drop function app.password_require;
drop function app.password_hash;

commit;
