-- Revert microblog:schema/api_follows from pg

begin;

drop view api.follows;

commit;
