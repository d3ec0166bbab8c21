-- Verify microblog:functions/jwt on pg

begin;

select 'app.base64url'::regproc;
select 'app.jwt_secret_set'::regproc;
select 'app.jwt_sign'::regproc;
select 'app.session_start'::regproc;

rollback;
