-- Verify microblog:functions/row_require on pg

begin;

select 'app.row_written'::regproc;
select 'app.tg_api__row_require'::regproc;

rollback;
