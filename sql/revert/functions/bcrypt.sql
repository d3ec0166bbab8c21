-- Revert microblog:functions/bcrypt from pg

begin;

drop function app.bcrypt;

commit;
