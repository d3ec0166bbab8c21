-- Has the database sign tokens with the key in the file jwt, or, with NEXT=.next, with the next one. Says
-- when the last token of any key before has expired, in seconds since 1970.
\ir unrecorded.sql
\set key `cat "$SECRETS_DIR/jwt$NEXT"`
select ceil(extract(epoch from app.jwt_secret_set(:'key')))::bigint;
