-- Verify microblog:schema/sessions on pg

begin;

select jti, user_id, created_at, expires_at from app.sessions where false;
select name, value, changed_at from app.secrets where false;

rollback;
