-- Revert microblog:schema/sessions from pg

begin;

drop table app.secrets;
drop table app.sessions;

commit;
