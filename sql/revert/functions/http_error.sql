-- Revert microblog:functions/http_error from pg

begin;

drop function app.busy;
drop function app.http_error;

commit;
