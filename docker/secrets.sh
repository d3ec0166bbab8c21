#!/bin/sh
# The passwords and keys of the Docker stack, in a volume that only its containers see.
#
#   secrets.sh                    make those that are missing; run again, it changes nothing else
#   secrets.sh rotate key         a new key for tokens; the old one is honoured until they expire
#   secrets.sh rotate passwords   new passwords of the roles that log in
#   secrets.sh keep               forget keys whose tokens have expired, once a minute, for ever
#
# SECRETS_DIR       the folder
# SESSION_LIFETIME  how long a token of the old key may last, in seconds: session_lifetime in
#                   app.settings
set -eu
folder=${SECRETS_DIR:-/secrets}
umask 022

random() { head -c 36 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'; }

# Whole or not at all: the other containers read at any moment.
put() { cat >"$folder/.$1.new" && mv "$folder/.$1.new" "$folder/$1"; }

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
    for old in "$folder"/jwt.until-*; do
      if [ -e "$old" ]; then printf ', ' && jwk "$old"; fi
    done
    printf ']}\n'
  } | put jwks.json
}

write_passwords() {
  password=$(cat "$folder/authenticator")
  printf 'postgresql://authenticator:%s@postgres:5432/microblog' "$password" | put uri_direct
  printf 'postgresql://authenticator:%s@pgbouncer:6432/microblog' "$password" | put uri_pooled
  printf '"authenticator" "%s"\n' "$password" | put userlist.txt
}

make_missing() {
  for name in postgres authenticator worker jwt; do
    [ -s "$folder/$name" ] || random | put "$name"
  done
  forget_expired
  write_keys
  write_passwords
}

rotate_key() {
  # Ten minutes for the steps that come after this one, before the database signs with the new key.
  until=$(($(date +%s) + ${SESSION_LIFETIME:-3600} + 600))
  while [ -e "$folder/jwt.until-$until" ]; do until=$((until + 1)); done
  put "jwt.until-$until" <"$folder/jwt"
  random | put jwt
  write_keys
}

rotate_passwords() {
  for name in authenticator worker; do random | put "$name"; done
  write_passwords
}

keep() {
  while :; do
    before=$(cat "$folder/jwks.json")
    forget_expired
    write_keys
    if [ "$(cat "$folder/jwks.json")" != "$before" ]; then
      PGPASSWORD=$(cat "$folder/postgres") psql --no-psqlrc --quiet \
        --host "${PGHOST:-postgres}" --username postgres --dbname "${PGDATABASE:-microblog}" \
        --command "notify pgrst, 'reload config'" || true
    fi
    sleep 60 & wait $!
  done
}

case "${1:-make} ${2:-}" in
  "make ") make_missing ;;
  "rotate key") rotate_key ;;
  "rotate passwords") rotate_passwords ;;
  "keep ") trap 'exit 0' TERM INT && keep ;;
  *) echo "usage: secrets.sh [rotate key | rotate passwords | keep]" >&2 && exit 2 ;;
esac
