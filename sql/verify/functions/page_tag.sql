-- Verify microblog:functions/page_tag on pg

begin;

select 'app.page_tag_row'::regproc;
select 'app.page_version'::regproc;
select 'app.page_tag'::regproc;
select 'app.tag_matches'::regproc;
select 'app.page_unchanged'::regproc;
select 'app.page_tell_tag'::regproc;

rollback;
