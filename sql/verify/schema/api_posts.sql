-- Verify microblog:schema/api_posts on pg

begin;

select 1 from api.posts where false;

rollback;
