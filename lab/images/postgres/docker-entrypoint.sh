#!/bin/bash
# Makes the database cluster on the first start and then becomes PostgreSQL, with the official image's settings:
# POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB, POSTGRES_INITDB_ARGS (each also as NAME_FILE, a file that holds the
# value), POSTGRES_HOST_AUTH_METHOD, PGDATA, and the scripts of /docker-entrypoint-initdb.d.
set -euo pipefail

from_file() { # NAME DEFAULT: sets NAME from itself, or from the file that NAME_FILE names
    local name=$1 file_name="$1_FILE"
    if [ -n "${!name:-}" ] && [ -n "${!file_name:-}" ]; then
        echo "Both $name and $file_name are set: use one of them." >&2
        exit 1
    fi
    if [ -n "${!file_name:-}" ]; then
        printf -v "$name" '%s' "$(< "${!file_name}")"
    elif [ -z "${!name:-}" ]; then
        printf -v "$name" '%s' "${2:-}"
    fi
    unset "$file_name"
}

make_cluster() {
    if [ -z "$POSTGRES_PASSWORD" ] && [ "$POSTGRES_HOST_AUTH_METHOD" != trust ]; then
        echo "The database is not initialized and has no superuser password: set POSTGRES_PASSWORD." >&2
        exit 1
    fi
    # shellcheck disable=SC2086  # the user's arguments are several words
    initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") \
        --auth-host="$POSTGRES_HOST_AUTH_METHOD" --auth-local=trust $POSTGRES_INITDB_ARGS
    printf '\nhost all all all %s\n' "$POSTGRES_HOST_AUTH_METHOD" >> "$PGDATA/pg_hba.conf"
}

fill_cluster() { # on a server that listens on its Unix socket only
    PGUSER=$POSTGRES_USER pg_ctl -D "$PGDATA" -o "-c listen_addresses='' -p 5432" -w start
    local psql=(psql --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --no-password --no-psqlrc)
    if [ "$POSTGRES_DB" != postgres ]; then
        "${psql[@]}" --dbname=postgres --set=db="$POSTGRES_DB" <<< 'CREATE DATABASE :"db";'
    fi
    local file
    for file in /docker-entrypoint-initdb.d/*; do
        case $file in
            *.sh) if [ -x "$file" ]; then "$file"; else . "$file"; fi ;;
            *.sql) "${psql[@]}" --dbname="$POSTGRES_DB" --file="$file" ;;
            *.sql.gz) gunzip --stdout "$file" | "${psql[@]}" --dbname="$POSTGRES_DB" ;;
        esac
    done
    PGUSER=$POSTGRES_USER pg_ctl -D "$PGDATA" -m fast -w stop
}

case "${1:-postgres}" in -*) set -- postgres "$@" ;; esac
if [ "$1" = postgres ]; then
    if [ "$(id -u)" = 0 ]; then
        mkdir -p "$PGDATA"
        chmod 0700 "$PGDATA"
        find "$PGDATA" /var/run/postgresql ! -user postgres -exec chown postgres {} +
        exec setpriv --reuid=postgres --regid=postgres --init-groups "$0" "$@"
    fi
    mkdir -p "$PGDATA"
    chmod 0700 "$PGDATA" 2> /dev/null || true
    if [ ! -s "$PGDATA/PG_VERSION" ]; then
        from_file POSTGRES_USER postgres
        from_file POSTGRES_PASSWORD
        from_file POSTGRES_DB "$POSTGRES_USER"
        from_file POSTGRES_INITDB_ARGS
        POSTGRES_HOST_AUTH_METHOD=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
        # Scripts of /docker-entrypoint-initdb.d read these.
        export POSTGRES_USER POSTGRES_PASSWORD POSTGRES_DB PGDATABASE="$POSTGRES_DB"
        make_cluster
        fill_cluster
        unset PGDATABASE
        echo "The database is ready for use."
    fi
    set -- "$@" -c "listen_addresses=*"
fi
exec "$@"
