-- Gives the roles that log in by a password those of the files, or, with NEXT=.next, the next ones: all
-- or none.
\ir unrecorded.sql
\set postgres_password `cat "$SECRETS_DIR/postgres$NEXT"`
\set authenticator_password `cat "$SECRETS_DIR/authenticator$NEXT"`
\set worker_password `cat "$SECRETS_DIR/worker$NEXT"`
begin;
alter role postgres password :'postgres_password';
alter role authenticator password :'authenticator_password';
alter role worker password :'worker_password';
commit;
