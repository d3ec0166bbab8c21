-- Revert microblog:functions/pre_request from pg

begin;

drop function app.pre_request;

commit;
