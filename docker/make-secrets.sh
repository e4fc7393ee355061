#!/bin/sh
# Makes the secret files that compose.yaml mounts: `make-secrets.sh [FOLDER]` (default: secrets,
# beside this script). Passwords are random; a file that is there already is left as it is, so
# that you can put your own there first. Prints file names, never what is in them.
set -eu

folder=${1:-$(dirname "$0")/secrets}
mkdir -p "$folder"
# The folder keeps other users of this machine out. The files are readable, because containers with
# different users read them, and Compose mounts a file with the mode that it has here.
chmod 0700 "$folder"

random() {
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

put() {
    if [ -e "$folder/$1" ]; then
        echo "kept $folder/$1"
    else
        printf '%s' "$2" > "$folder/$1"
        chmod 0644 "$folder/$1"
        echo "made $folder/$1"
    fi
}

get() {
    cat "$folder/$1"
}

put postgres_password "$(random)"
put postgres_node_import_admin_password "$(random)"
put postgres_dagster_password "$(random)"
put node_import_postgres_admin_dsn \
    "postgresql://node_import_admin:$(get postgres_node_import_admin_password)@postgres:5432/node_import"
put node_import_postgres_dsn "postgresql://ni_importer:$(random)@postgres:5432/node_import"
put dagster_postgres_url \
    "postgresql://dagster:$(get postgres_dagster_password)@postgres:5432/dagster"
put minio_root_user root
put minio_root_password "$(random)"
put node_import_s3_access_key node-import
put node_import_s3_secret_key "$(random)"
put node_import_kafka_config '{}'
