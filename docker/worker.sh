#!/bin/sh
# Runs a command with the worker's password, which is kept in a file.
set -eu
PGPASSWORD=$(cat /secrets/worker)
export PGPASSWORD
exec "$@"
