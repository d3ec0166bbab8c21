-- Revert microblog:functions/users_popular from pg

begin;

drop function api.users_popular;
drop type app.page_popular_user;

commit;
