#!/bin/sh
# Gives the running Docker stack a new key for tokens and new passwords, from its folder:
#
#   sh docker/rotate.sh
#
# Nothing restarts, and who is logged in stays so: connections that are open go on, and the old key is
# honoured until its last token has expired. SESSION_LIFETIME is that of secrets.sh.
set -eu
cd "$(dirname "$0")/.."
run() { docker compose run --rm --no-deps "$@"; }

run -e "SESSION_LIFETIME=${SESSION_LIFETIME:-3600}" secrets rotate key
docker compose kill --signal SIGUSR2 postgrest   # honours both
run migrate                                      # the database signs with the new one
run secrets rotate passwords
run migrate
docker compose kill --signal SIGHUP pgbouncer
