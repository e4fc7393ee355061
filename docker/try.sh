#!/bin/sh
# Brings everything in compose.yaml up, imports a file through it, and takes it down again with its
# data. It uses the project name, ports and secrets of a deployment, so not beside one.
set -eu
cd "$(dirname "$0")"

./make-secrets.sh > /dev/null
docker compose up --detach --wait --wait-timeout 600

in_code_location() {
    docker compose exec --no-TTY code-location "$@"
}

in_code_location node-import domain add try
in_code_location node-import group add try members
in_code_location sh -c 'printf "reference_id,city\nref-1,Porto\n" > /tmp/users.csv'
in_code_location node-import submit --domain try --group members --file /tmp/users.csv --wait

docker compose down --volumes
