-- Verify microblog:schema/idempotency_keys on pg

begin;

select user_id, key, fingerprint, post_id, created_at from app.idempotency_keys where false;

rollback;
