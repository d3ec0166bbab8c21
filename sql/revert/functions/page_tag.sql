-- Revert microblog:functions/page_tag from pg

begin;

drop function app.page_tell_tag;
drop function app.page_unchanged;
drop function app.tag_matches;
drop function app.page_tag;
drop function app.page_version;
drop function app.page_tag_row;

commit;
