-- Verify microblog:functions/password_check on pg

begin;

select 'app.password_hash'::regproc;
select 'app.password_require'::regproc;
select 'app.password_matches'::regproc;
select 'app.credentials_refused'::regproc;
select 'app.password_refused'::regproc;

rollback;
