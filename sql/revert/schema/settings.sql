-- Revert microblog:schema/settings from pg

begin;

drop function app.setting;
drop table app.settings;

commit;
