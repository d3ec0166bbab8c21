-- Revert microblog:schema/api_users from pg

begin;

drop view api.users;

commit;
