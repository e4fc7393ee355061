#!/bin/sh
# Makes two databases, each with a role of its own. The postgres image runs this once, on an empty
# volume; on a server of your own run it with psql's variables (PGHOST, PGUSER, …) set.
#
#   node_import  owned by node_import_admin, which `migrate` uses. It may make roles, since migrate
#                makes ni_owner, ni_importer and the others; it is no superuser.
#   dagster      owned by dagster: runs, ticks, event logs.
set -eu

secrets=${SECRETS_DIR:-/run/secrets}

# Passwords reach psql through its environment: neither a process list nor a log shows them.
ADMIN_PASSWORD=$(cat "$secrets/postgres_node_import_admin_password") \
DAGSTER_PASSWORD=$(cat "$secrets/postgres_dagster_password") \
psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 \
    --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\getenv admin_password ADMIN_PASSWORD
\getenv dagster_password DAGSTER_PASSWORD
CREATE ROLE node_import_admin LOGIN CREATEROLE PASSWORD :'admin_password';
CREATE DATABASE node_import OWNER node_import_admin;
CREATE ROLE dagster LOGIN PASSWORD :'dagster_password';
CREATE DATABASE dagster OWNER dagster;
REVOKE CONNECT, TEMPORARY ON DATABASE dagster FROM PUBLIC;
SQL
