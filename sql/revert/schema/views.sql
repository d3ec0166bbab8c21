-- Revert microblog:schema/views from pg

begin;

drop view dba.views;
drop materialized view app.popular_users;
drop materialized view app.public_page;
drop table app.view_refreshes;
delete from app.settings
where name in (
  'public_page_lifetime', 'public_page_posts', 'popular_users_lifetime', 'popular_users_ranks'
);

commit;
