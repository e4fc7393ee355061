#!/bin/sh
# Lays the importer out as it lies in the image: `install.sh SOURCE PREFIX [EXTRAS]`.
#
#   PREFIX/venv          Python packages, exactly those of constraints.txt; no pip in it
#   PREFIX/bin           entrypoint, healthcheck
#   PREFIX/dagster_home  DAGSTER_HOME: the packaged dagster.yaml, workspace.yaml, and storage/,
#                        the only folder in PREFIX that is written to
#
# The Dockerfile runs it, and so does the test that runs the image's processes without an engine.
set -eu

source=$1
prefix=$2
extras=${3:-}
python=${PYTHON:-python3}

wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT
"$python" -m pip wheel --quiet --no-deps --wheel-dir "$wheels" "$source"
wheel=$(echo "$wheels"/node_import-*.whl)

"$python" -m venv --without-pip "$prefix/venv"
"$python" -m pip --python "$prefix/venv/bin/python" install --quiet \
    --constraint "$source/constraints.txt" "$wheel${extras:+[$extras]}"

mkdir -p "$prefix/bin" "$prefix/dagster_home/storage"
install -m 0755 "$source/docker/entrypoint.sh" "$prefix/bin/entrypoint"
install -m 0755 "$source/docker/healthcheck.py" "$prefix/bin/healthcheck"
install -m 0644 "$source/docker/workspace.yaml" "$prefix/dagster_home/workspace.yaml"

# One number for Dagster's queue and for the importer's: here both come from the environment.
packaged=$(echo "$prefix"/venv/lib/python3.*/site-packages/node_import/stack/dagster.yaml)
sed 's/^\( *max_concurrent_runs:\) [0-9]*$/\1 {env: NODE_IMPORT_MAX_CONCURRENT_RUNS}/' \
    "$packaged" > "$prefix/dagster_home/dagster.yaml"
grep -q 'max_concurrent_runs: {env' "$prefix/dagster_home/dagster.yaml"
