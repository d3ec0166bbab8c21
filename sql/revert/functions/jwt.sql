-- Revert microblog:functions/jwt from pg

begin;

drop function app.session_start;
drop function app.jwt_sign;
drop function app.jwt_secret_set;
drop function app.base64url;

commit;
