-- Verify microblog:functions/page on pg

begin;

select 'app.page_limit_given'::regproc;
select 'app.page_limit'::regproc;
select 'app.page_cursor_refuse'::regproc;
select 'app.page_cursor'::regproc;
select 'app.page_top'::regproc;
select 'app.page_more'::regproc;

rollback;
