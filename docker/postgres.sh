#!/bin/sh
# Starts the server as its image does, without the superuser's password in its environment: there the
# image puts what is in POSTGRES_PASSWORD_FILE, and leaves it to all that the server starts. Only the
# first set-up of an empty folder needs it, and ends before the server starts.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then docker-ensure-initdb.sh "$@"; fi
unset POSTGRES_PASSWORD_FILE
exec docker-entrypoint.sh "$@"
