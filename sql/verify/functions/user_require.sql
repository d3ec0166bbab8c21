-- Verify microblog:functions/user_require on pg

begin;

select 'app.user_require'::regproc;
select null::app.page_user;

rollback;
