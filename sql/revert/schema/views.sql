-- Revert microblog:schema/views from pg

begin;

drop view dba.views;
drop materialized view app.popular_users;
drop table app.view_refreshes;
delete from app.settings
where name in ('popular_users_lifetime', 'popular_users_ranks');

commit;
