-- Revert microblog:functions/page from pg

begin;

drop function app.page_more;
drop function app.page_top;
drop function app.page_cursor;
drop function app.page_cursor_refuse;
drop function app.page_limit;
drop function app.page_limit_given;

commit;
