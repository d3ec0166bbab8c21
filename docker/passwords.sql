-- Gives the roles that log in by a password those of the files, all or none.
\ir unrecorded.sql
\set authenticator_password `cat "$SECRETS_DIR/authenticator"`
\set worker_password `cat "$SECRETS_DIR/worker"`
begin;
alter role authenticator password :'authenticator_password';
alter role worker password :'worker_password';
commit;
