-- Verify microblog:functions/post_id on pg

begin;

select 'app.post_id_seq'::regclass;
select 'app.post_id_at'::regproc;
select 'app.post_created_at'::regproc;
select 'app.post_id_next'::regproc;

rollback;
