-- Verify microblog:functions/logout on pg

begin;

select 'app.current_jti'::regproc;
select 'api.logout'::regproc;

rollback;
