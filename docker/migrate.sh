#!/bin/sh
# Deploys the schema and hands the database its secrets; then the stack's other parts start.
set -eu
export SECRETS_DIR="${SECRETS_DIR:-/secrets}"
export PGHOST="${PGHOST:-postgres}" PGUSER=postgres PGDATABASE="${PGDATABASE:-microblog}"
export PGPASSFILE="$SECRETS_DIR/pgpass"

sqitch deploy --verify "db:pg://postgres@/$PGDATABASE"

psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 <<'SQL'
\set authenticator_password `cat "$SECRETS_DIR/authenticator"`
\set worker_password `cat "$SECRETS_DIR/worker"`
\set jwt_secret `cat "$SECRETS_DIR/jwt"`
\o /dev/null
-- Neither the log nor the statistics keep what follows.
set log_statement = none;
set log_min_duration_statement = -1;
set log_min_error_statement = panic;
set log_error_verbosity = terse;
set pg_stat_statements.track = none;
alter role authenticator password :'authenticator_password';
alter role worker password :'worker_password';
select app.jwt_secret_set(:'jwt_secret');
SQL
