-- Verify microblog:schema/views on pg

begin;

select view_name, lifetime_setting, refreshed_at, took from app.view_refreshes where false;
select rank, user_id, followers_count from app.popular_users where false;
select post_id from app.public_page where false;
select user_id, post_ids from app.inactive_feeds where false;
select view_name, lifetime, age, took, bytes from dba.views where false;
select 1 / (count(*) / 7)
from app.settings
where name ~ '^(popular_users|public_page|inactive_feeds)_';

rollback;
