# Make the database and run the .sql files when the volume is empty; then serve.
set -eu
data=/var/lib/postgresql/data

as_postgres() {
    setpriv --reuid=postgres --regid=postgres --clear-groups "$@"
}

chown postgres "$data"
if [ ! -e "$data/PG_VERSION" ]; then
    install -o postgres -m 600 "$POSTGRES_PASSWORD_FILE" /tmp/password
    as_postgres initdb --pgdata="$data" --username="$POSTGRES_USER" --pwfile=/tmp/password \
        --auth-local=trust --auth-host=scram-sha-256 >/dev/null
    rm /tmp/password
    echo "host all all all scram-sha-256" >>"$data/pg_hba.conf"
    as_postgres pg_ctl --pgdata="$data" --options="-c listen_addresses=" --silent start
    createdb --username="$POSTGRES_USER" "$POSTGRES_DB"
    for file in /docker-entrypoint-initdb.d/*.sql; do
        psql --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" --quiet --no-psqlrc \
            --set=ON_ERROR_STOP=1 --file="$file"
    done
    as_postgres pg_ctl --pgdata="$data" --mode=fast --silent stop
fi
exec setpriv --reuid=postgres --regid=postgres --clear-groups \
    postgres -D "$data" -c "listen_addresses=*"
