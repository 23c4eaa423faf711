#!/bin/sh
# Makes the passwords and keys of docker-compose.yml, each once: what is there already is left as it is.
# One file for each party, readable by you alone; compose hands them over as environments. `make secrets` runs this.
set -eu
umask 077
folder=${1:-$(dirname "$0")/secrets}
mkdir -p "$folder"

random() { od -An -tx1 -N24 /dev/urandom | tr -d ' \n'; }

if [ -e "$folder/sterna.env" ]; then
    echo "$folder/sterna.env exists: nothing is changed" >&2
    exit 0
fi
database=$(random) broker=$(random) access=$(random) secret=$(random)
key=sterna_$(head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n')

printf 'POSTGRES_PASSWORD=%s\n' "$database" >"$folder/postgres.env"
# redis-cli reads its password from this name, and docker-compose.yml hands it to the server.
printf 'REDISCLI_AUTH=%s\n' "$broker" >"$folder/redis.env"
printf 'AWS_ACCESS_KEY_ID=%s\nAWS_SECRET_ACCESS_KEY=%s\n' "$access" "$secret" >"$folder/store.env"
# What a client needs; the composition makes this key known to the service.
printf 'STERNA_API_KEY=%s\n' "$key" >"$folder/client.env"
# Last: this file says that all are there.
cat >"$folder/sterna.env" <<END
STERNA_DATABASE_URL=postgresql+psycopg://sterna:$database@postgres:5432/sterna
STERNA_BROKER_URL=redis://:$broker@redis:6379/0
STERNA_STORAGE_URL=s3://sterna/store
AWS_ENDPOINT_URL=http://store:8333
AWS_ALLOW_HTTP=true
AWS_REGION=us-east-1
AWS_ACCESS_KEY_ID=$access
AWS_SECRET_ACCESS_KEY=$secret
END
echo "secrets are in $folder; keep a copy of them apart from your backups of the data" >&2
