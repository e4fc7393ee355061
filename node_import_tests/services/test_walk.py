"""docs/own-services.md, followed literally: the whole importer on real services."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from node_import.stack.guardian import stop_group
from node_import_tests.services.running import free_ports
from node_import_tests.support.services import TestServices

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/own-services.md"
DATABASES = ("node_import", "dagster")


def walk() -> str:
    """All commands of the page, as one script."""
    text = PAGE.read_text(encoding="utf-8")
    return "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE))


def here(script: str, services: TestServices) -> str:
    """The script with this session's addresses and secrets in place of the page's examples."""
    server = conninfo_to_dict(services.postgres_admin_dsn)
    webserver, location = free_ports(2)
    replacements = {
        "localhost:9092": services.kafka_bootstrap_servers,
        "http://localhost:9000": services.s3_endpoint_url,
        "S3_ACCESS_KEY=minio": f"S3_ACCESS_KEY={services.s3_access_key}",
        "S3_SECRET_KEY=minio-secret": f"S3_SECRET_KEY={services.s3_secret_key}",
        "localhost:5432": f"{server['host']}:{server['port']}",
        "admin-secret": str(server["password"]),
        "importer-secret": services.importer_password,
        "3000": str(webserver),
        "4000": str(location),
    }
    for example, actual in replacements.items():
        assert example in script
        script = script.replace(example, actual)
    return script


@pytest.fixture
def no_databases(services: TestServices) -> Iterator[str]:
    """A DSN of the server, on which the page's databases are not there; nor are they afterwards."""
    dsn = make_conninfo(services.postgres_admin_dsn, dbname="postgres")
    drop_databases(dsn)
    yield dsn
    drop_databases(dsn)


def drop_databases(dsn: str) -> None:
    """Those of the page."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        for name in DATABASES:
            conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def follow(script: str, folder: Path) -> tuple[int, str, str]:
    """Type it all into a shell in `folder`, and end what it left running."""
    (folder / "dagster.yaml").write_bytes((ROOT / "dagster.yaml").read_bytes())
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("NODE_IMPORT_")}
    environment = {
        **inherited,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        # The cluster is full of other tests' topics.
        "NODE_IMPORT_REQUEST_TOPIC_PATTERN": "^(?P<domain>acme)-users$",
    }
    with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
        shell = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        try:
            status = shell.wait(240)
        finally:
            stop_group(shell.pid, signal.SIGTERM, 20, reap=shell.poll)
    return status, (folder / "out").read_text(), (folder / "err").read_text()


def test_the_page_leads_to_an_import(
    services: TestServices, no_databases: str, tmp_path: Path
) -> None:
    """Tables, tenant, Dagster's processes, a file through MinIO and Kafka, and its rows at last."""
    status, out, err = follow(here(walk(), services), tmp_path)
    assert status == 0, f"{out}\n{err}"
    assert "COMPLETED" in out
    with psycopg.connect(make_conninfo(no_databases, dbname="node_import")) as conn:
        rows = conn.execute(
            "SELECT reference_id, metadata_key, metadata_value FROM nodes"
            " JOIN node_metadata ON node_id = nodes.id ORDER BY 1"
        ).fetchall()
        job = conn.execute("SELECT status, inserted_nodes FROM nodes_import_job").fetchall()
    assert rows == [("ref-1", "city", "Porto"), ("ref-2", "city", "Oslo")]
    assert job == [("COMPLETED", 2)]
