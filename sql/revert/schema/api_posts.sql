-- Revert microblog:schema/api_posts from pg

begin;

drop view api.posts;

commit;
