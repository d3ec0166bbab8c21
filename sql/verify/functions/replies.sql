-- Verify microblog:functions/replies on pg

begin;

select 'app.post_require'::regproc;
select 'api.replies'::regproc;

rollback;
