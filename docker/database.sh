# Where the scripts beside this one find the database, as its superuser; they source it.
export SECRETS_DIR="${SECRETS_DIR:-/secrets}"
export PGHOST="${PGHOST:-postgres}" PGUSER=postgres PGDATABASE="${PGDATABASE:-microblog}"
export PGPASSFILE="$SECRETS_DIR/pgpass"

database() { psql --no-psqlrc --no-password --quiet --set ON_ERROR_STOP=1 "$@"; }

# A rotation that broke off may have given the superuser the next password and left its file behind.
find_password() {
  PGPASSFILE=$SECRETS_DIR/pgpass
  if [ -e "$PGPASSFILE.next" ] && ! database --command "" 2>/dev/null; then
    PGPASSFILE=$PGPASSFILE.next
  fi
}
