#!/bin/sh
# Makes the passwords and keys of the Docker stack at its first start, in a volume that only its
# containers see. Run again, it changes nothing that is there.
set -eu
folder=${SECRETS_DIR:-/secrets}
umask 022

random() { head -c 36 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'; }

for name in postgres authenticator worker jwt; do
  [ -s "$folder/$name" ] || random >"$folder/$name"
done

password=$(cat "$folder/authenticator")
printf 'postgresql://authenticator:%s@postgres:5432/microblog' "$password" >"$folder/uri_direct"
printf 'postgresql://authenticator:%s@pgbouncer:6432/microblog' "$password" >"$folder/uri_pooled"
printf '"authenticator" "%s"\n' "$password" >"$folder/userlist.txt"
