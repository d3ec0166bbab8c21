#!/bin/sh
# Gives the running Docker stack a new key for tokens and new passwords, from its folder:
#
#   sh docker/rotate.sh
#
# Nothing restarts, and who is logged in stays so: connections that are open go on, and the old key is
# honoured until the database says that its last token has expired. Run again after a failure, it goes on.
set -eu
cd "$(dirname "$0")/.."
secrets() { docker compose run --rm --no-deps secrets "$@"; }

secrets rotate key
docker compose kill --signal SIGUSR2 postgrest   # honours both
secrets rotate sign                              # the database signs with the new one
secrets rotate passwords
docker compose kill --signal SIGHUP pgbouncer
