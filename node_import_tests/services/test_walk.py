"""The pages that lead through an installation, followed literally on real services."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from confluent_kafka.admin import AdminClient
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from node_import_tests.services.running import free_ports
from node_import_tests.services.topics import TIMEOUT
from node_import_tests.services.walks import ROOT, blocks, follow, replaced, section, typed
from node_import_tests.support.services import TestServices

DATABASES = ("node_import", "imports", "dagster")
TOPICS = ("acme-users", "acme-users-dlt", "nodes-transfer-job-status")


@pytest.fixture
def clean(services: TestServices) -> Iterator[str]:
    """A DSN of the server; what the pages make is not there, neither before nor afterwards."""
    dsn = make_conninfo(services.postgres_admin_dsn, dbname="postgres")
    remove_what_pages_make(dsn, services)
    yield dsn
    remove_what_pages_make(dsn, services)


def remove_what_pages_make(dsn: str, services: TestServices) -> None:
    """Databases, the role of Dagster, topics."""
    with psycopg.connect(dsn, autocommit=True) as conn:
        for name in DATABASES:
            conn.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        conn.execute("DROP ROLE IF EXISTS dagster")
    admin = AdminClient({"bootstrap.servers": services.kafka_bootstrap_servers})
    there = set(admin.list_topics(timeout=TIMEOUT).topics)
    mine = [name for name in TOPICS if name in there]
    if mine:
        for future in admin.delete_topics(mine).values():
            future.result(TIMEOUT)


def jobs_and_rows(dsn: str, database: str) -> tuple[list[Any], list[Any]]:
    """What was imported into it."""
    with psycopg.connect(make_conninfo(dsn, dbname=database)) as conn:
        jobs = conn.execute("SELECT status, inserted_nodes FROM nodes_import_job").fetchall()
        nodes = conn.execute(
            "SELECT reference_id, metadata_key, metadata_value FROM nodes"
            " LEFT JOIN node_metadata ON node_id = nodes.id ORDER BY 1"
        ).fetchall()
    return jobs, nodes


def test_own_services_leads_to_an_import(
    services: TestServices, clean: str, tmp_path: Path
) -> None:
    """Tables, tenant, Dagster's processes, a file through MinIO and Kafka, and its rows at last."""
    page = (ROOT / "docs/own-services.md").read_text(encoding="utf-8")
    server = conninfo_to_dict(services.postgres_admin_dsn)
    webserver, location = free_ports(2)
    script = replaced(
        blocks(page, "sh"),
        {
            "localhost:9092": services.kafka_bootstrap_servers,
            "http://localhost:9000": services.s3_endpoint_url,
            "S3_ACCESS_KEY=minio": f"S3_ACCESS_KEY={services.s3_access_key}",
            "S3_SECRET_KEY=minio-secret": f"S3_SECRET_KEY={services.s3_secret_key}",
            "localhost:5432": f"{server['host']}:{server['port']}",
            "admin-secret": str(server["password"]),
            "importer-secret": services.importer_password,
            "3000": str(webserver),
            "4000": str(location),
        },
    )
    (tmp_path / "dagster.yaml").write_bytes((ROOT / "dagster.yaml").read_bytes())

    status, out, err = follow(script, tmp_path)

    assert status == 0, f"{out}\n{err}"
    assert "COMPLETED" in out
    jobs, nodes = jobs_and_rows(clean, "node_import")
    assert jobs == [("COMPLETED", 2)]
    assert nodes == [("ref-1", "city", "Porto"), ("ref-2", "city", "Oslo")]


def test_the_readme_leads_to_an_import(services: TestServices, clean: str, tmp_path: Path) -> None:
    """Its section about own services: settings in `.env`, and a submit when all is up."""
    page = section("README.md", "With your own Kafka, S3 and PostgreSQL")
    server = conninfo_to_dict(services.postgres_admin_dsn)
    address = f"{server['host']}:{server['port']}"
    settings = replaced(
        blocks(page, "ini"),
        {
            "kafka:9092": services.kafka_bootstrap_servers,
            "http://minio:9000": services.s3_endpoint_url,
            "S3_ACCESS_KEY=…": f"S3_ACCESS_KEY={services.s3_access_key}",
            "S3_SECRET_KEY=…": f"S3_SECRET_KEY={services.s3_secret_key}",
            "db:5432": address,
            "choose-one": services.importer_password,
        },
    )
    for name in ("dagster.yaml", "workspace.yaml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / ".env").write_text(settings)
    script = replaced(typed(blocks(page, "console")), {"db:5432": address})
    submit = "node-import submit --domain acme --group members --ref u-1 --wait"
    admin = f"postgresql://{server['user']}:{server['password']}@{address}"

    status, out, err = follow(f"{script}\n{submit}", tmp_path, ADMIN=admin)

    assert status == 0, f"{out}\n{err}"
    assert jobs_and_rows(clean, "imports") == ([("COMPLETED", 1)], [("u-1", None, None)])
