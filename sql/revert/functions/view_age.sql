-- Revert microblog:functions/view_age from pg

begin;

drop function app.view_age;

commit;
