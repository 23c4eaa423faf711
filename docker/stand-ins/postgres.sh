# As the image that it stands in for: sets up an empty folder, over a socket alone, then serves.
set -eu
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    printf '%s\n' "$POSTGRES_PASSWORD" | initdb --encoding=UTF8 --username="$POSTGRES_USER" --pwfile=/dev/stdin --auth-local=trust \
        --auth-host=scram-sha-256 >/dev/null
    pg_ctl --wait --options="-c listen_addresses=''" start >/dev/null
    createdb --host=/var/run/postgresql --username="$POSTGRES_USER" "$POSTGRES_DB"
    pg_ctl --wait stop >/dev/null
    echo "host all all all scram-sha-256" >>"$PGDATA/pg_hba.conf"
fi
exec postgres -c listen_addresses='*'
