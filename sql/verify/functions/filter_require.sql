-- Verify microblog:functions/filter_require on pg

begin;

select 'app.tg_api__filter_require'::regproc;

rollback;
