-- Revert microblog:functions/author_lock from pg

begin;

drop function app.author_lock_shared;
drop function app.author_lock;

commit;
