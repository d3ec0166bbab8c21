-- Revert microblog:functions/logout from pg

begin;

drop function api.logout;
drop function app.current_jti;

commit;
