#!/bin/sh
# The passwords and keys of the Docker stack. A folder holds them all, for root alone; each part of the
# stack has a folder of its own, a volume that nobody else mounts, with copies of what it reads.
#
#   secrets.sh                    make those that are missing; run again, it changes nothing else
#   secrets.sh rotate key         a next key for tokens, honoured from now on
#   secrets.sh rotate sign        the database signs with it; the old one is honoured until the database
#                                 says that its last token has expired
#   secrets.sh rotate passwords   new passwords of the roles that log in by one, the superuser's among them,
#                                 in the database and then in the files
#   secrets.sh keep               forget keys whose tokens have expired, once a minute, for ever
#
# rotate.sh does all that a rotation takes.
#
# SECRETS_DIR is the folder; those of the parts are for/<service> in it.
set -eu
here=$(dirname "$0")
. "$here/database.sh"
folder=$SECRETS_DIR
roles="postgres authenticator worker"   # those that log in by a password
umask 077

fail() { echo "secrets.sh: $1" >&2 && exit 1; }

random() { head -c 36 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'; }

# Whole or not at all: the other containers read at any moment.
put() { cat >"$folder/.new" && mv "$folder/.new" "$folder/$1"; }

# The user as which a service runs: docker-compose.yml says the same.
user_of() {
  case "$1" in
    postgres) echo 999 ;;
    postgrest) echo 1000 ;;
    pgbouncer) echo 70 ;;
    worker) echo 65534 ;;
  esac
}

# The same in the folder of a service: give SERVICE FILE <text
give() {
  own=$folder/for/$1
  mkdir -p "$own"
  cat >"$own/.new"
  if [ "$(id -u)" = 0 ]; then chown "$(user_of "$1")" "$own" "$own/.new"; fi
  chmod 700 "$own"
  mv "$own/.new" "$own/$2"
}

forget_expired() {
  for old in "$folder"/jwt.until-*; do
    if [ -e "$old" ] && [ "${old##*-}" -le "$(date +%s)" ]; then rm -f "$old"; fi
  done
}

jwk() {
  printf '{"kty": "oct", "use": "sig", "alg": "HS256", "k": "%s"}' \
    "$(tr -d '\n' <"$1" | base64 | tr '+/' '-_' | tr -d '=\n')"
}

# Every key that is honoured, as PostgREST reads them: a JWK Set (RFC 7517, 5).
write_keys() {
  {
    printf '{"keys": ['
    jwk "$folder/jwt"
    for other in "$folder/jwt.next" "$folder"/jwt.until-*; do
      if [ -e "$other" ]; then printf ', ' && jwk "$other"; fi
    done
    printf ']}\n'
  } | give postgrest jwks.json
}

# A line of libpq's password file, which is read anew for each connection: login ROLE [.next]
login() { printf '*:*:*:%s:%s\n' "$1" "$(cat "$folder/$1${2:-}")"; }

write_passwords() {
  give postgres password <"$folder/postgres"
  login postgres | put pgpass
  login worker | give worker pgpass
  login authenticator | give postgrest pgpass
  for route in direct=postgres:5432 pooled=pgbouncer:6432; do
    printf 'postgresql://authenticator@%s/microblog?passfile=/secrets/pgpass' "${route#*=}" |
      give postgrest "uri_${route%=*}"
  done
  printf '"authenticator" "%s"\n' "$(cat "$folder/authenticator")" | give pgbouncer userlist.txt
}

make_missing() {
  chmod 700 "$folder"
  for name in $roles jwt; do
    [ -s "$folder/$name" ] || random | put "$name"
  done
  forget_expired
  write_keys
  write_passwords
}

# That of a rotation that broke off, or a new one.
next_key() {
  [ -s "$folder/jwt.next" ] || random | put jwt.next
  write_keys
}

# Whatever ends this half-way, both keys are in the set; another rotation finishes it.
sign_with_next() {
  [ -s "$folder/jwt.next" ] || fail "there is no next key: rotate key makes one"
  find_password
  export NEXT=.next
  until=$(database --tuples-only --no-align --file "$here/key.sql") ||
    fail "the database does not say how long tokens of the old key last. Both keys stay honoured;
start the stack and rotate again."
  while [ -e "$folder/jwt.until-$until" ]; do until=$((until + 1)); done
  put "jwt.until-$until" <"$folder/jwt"
  mv "$folder/jwt.next" "$folder/jwt"
  write_keys
}

# Wherever this breaks off, the superuser can log in by pgpass or by pgpass.next. Another rotation goes on
# with the same next passwords; migrate.sh gives the roles those of the files again.
rotate_passwords() {
  write_passwords
  for name in $roles; do [ -s "$folder/$name.next" ] || random | put "$name.next"; done
  login postgres .next | put pgpass.next
  find_password
  trap '' HUP INT TERM   # from here on it takes some milliseconds
  export NEXT=.next
  database --output /dev/null --file "$here/passwords.sql" ||
    fail "the database does not take the new passwords. Start the stack and rotate again."
  for name in $roles; do mv "$folder/$name.next" "$folder/$name"; done
  write_passwords
  rm "$folder/pgpass.next"
}

keep() {
  keys=$folder/for/postgrest/jwks.json
  while :; do
    before=$(cat "$keys")
    forget_expired
    write_keys
    if [ "$(cat "$keys")" != "$before" ]; then
      find_password
      database --command "notify pgrst, 'reload config'" || true
    fi
    sleep 60 & wait $!
  done
}

case "${1:-make} ${2:-}" in
  "make ") make_missing ;;
  "rotate key") next_key ;;
  "rotate sign") sign_with_next ;;
  "rotate passwords") rotate_passwords ;;
  "keep ") trap 'exit 0' TERM INT && keep ;;
  *) echo "usage: secrets.sh [rotate key | rotate sign | rotate passwords | keep]" >&2 && exit 2 ;;
esac
