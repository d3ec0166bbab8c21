-- Revert microblog:schema/follows from pg

begin;

drop table app.follows;

commit;
