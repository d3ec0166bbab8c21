-- Revert microblog:functions/response_header from pg

begin;

drop function app.response_header;

commit;
