#!/bin/sh
# The roles of the image: code-location, webserver, daemon, migrate. Anything else is a command:
#
#   docker run … node-import node-import jobs list
#
# Further arguments go to the program of the role.
set -eu

# NODE_IMPORT_… settings are read from files there by the importer itself. A folder that is not
# there would be a warning in every log.
secrets=${NODE_IMPORT_SECRETS_DIR:-/run/secrets}
if [ -d "$secrets" ]; then
    export NODE_IMPORT_SECRETS_DIR="$secrets"
else
    unset NODE_IMPORT_SECRETS_DIR
fi

# Dagster takes its database from the environment only. Here, and not in `docker run`, it is seen
# neither in the container's configuration nor in anybody's shell history.
if [ -z "${DAGSTER_POSTGRES_URL:-}" ] && [ -r "$secrets/dagster_postgres_url" ]; then
    DAGSTER_POSTGRES_URL=$(cat "$secrets/dagster_postgres_url")
    export DAGSTER_POSTGRES_URL
fi

case ${1:-} in
    code-location | webserver | daemon | migrate)
        role=$1
        shift
        # So that one health check fits every role.
        echo "$role" > "${TMPDIR:-/tmp}/node-import.role"
        ;;
    *)
        exec "$@"
        ;;
esac

workspace=$DAGSTER_HOME/workspace.yaml
case $role in
    code-location)
        # A sensor tick holds a thread as long as it lasts, and the UI needs some beside.
        exec python -m node_import.orchestration.code_location --host 0.0.0.0 --port "$CODE_LOCATION_LISTEN_PORT" \
            --module-name node_import.definitions --attribute defs --location-name node_import \
            --empty-working-directory --use-python-environment-entry-point --max-workers 16 "$@"
        ;;
    webserver)
        exec dagster-webserver --host 0.0.0.0 --port "$WEBSERVER_LISTEN_PORT" \
            --workspace "$workspace" "$@"
        ;;
    daemon)
        exec dagster-daemon run --workspace "$workspace" "$@"
        ;;
    migrate)
        # Both schemas: the importer's, and that of Dagster's own database.
        node-import migrate "$@"
        exec dagster instance migrate
        ;;
esac
