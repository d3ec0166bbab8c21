-- Verify microblog:schema/api_follows on pg

begin;

select 1 from api.follows where false;

rollback;
