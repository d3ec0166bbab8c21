#!/bin/sh
# Deploys the schema and hands the database its secrets; then the stack's other parts start.
set -eu
here=$(dirname "$0")
. "$here/database.sh"
find_password

sqitch deploy --verify "db:pg://postgres@/$PGDATABASE"

export NEXT=
database --output /dev/null --file "$here/passwords.sql" --file "$here/key.sql"
