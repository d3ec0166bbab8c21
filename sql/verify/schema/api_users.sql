-- Verify microblog:schema/api_users on pg

begin;

select 1 from api.users where false;

rollback;
