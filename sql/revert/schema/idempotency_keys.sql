-- Revert microblog:schema/idempotency_keys from pg

begin;

drop table app.idempotency_keys;

commit;
