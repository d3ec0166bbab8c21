-- Revert microblog:schema/views from pg

begin;

drop view dba.views;
drop materialized view app.inactive_feeds;
drop materialized view app.public_page;
drop materialized view app.popular_users;
drop table app.view_refreshes;
delete from app.settings
where name in (
  'popular_users_lifetime', 'popular_users_ranks',
  'public_page_lifetime', 'public_page_rows',
  'inactive_feeds_lifetime', 'inactive_feeds_users', 'inactive_feeds_follows'
);

commit;
