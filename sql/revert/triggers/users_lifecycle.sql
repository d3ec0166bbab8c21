-- Revert microblog:triggers/users_lifecycle from pg

begin;

drop trigger t10_detach on app.users;
drop function app.tg_users__detach;
drop trigger t10_attach on app.users;
drop function app.tg_users__attach;

commit;
