-- Revert microblog:schema/cache from pg

begin;

drop table app.cache_reports;
drop table app.cache_proxies;
drop table app.cached_calls;
delete from app.settings where name = 'profile_lifetime';

commit;
