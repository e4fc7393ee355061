"""A fixed import makes the work that it made when it was last recorded, and no more.

Recorded are counts and bytes, which do not depend on how busy a machine is. If a change is meant,
write them anew, and say in the commit why they moved:

    RECORD_WORK=1 python -m pytest node_import_tests/integration/regression
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from pydantic import SecretStr

from benchmarks.data import COLUMNS, users
from node_import.database import Database
from node_import.orchestration.resources import PostgresResource
from node_import.settings import Settings
from node_import_tests.integration.regression.work import StillServer, Work, still_server
from node_import_tests.support.deployment import Deployment, metadata_of, open_deployment
from node_import_tests.support.tenants import make_tenant

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

RECORDED = Path(__file__).with_name("recorded.json")
USERS = 100_000  # two slices
KINDS = ("fresh", "identical", "changed")
# Bytes move a little with the ids that are made: how full pages are when they are split.
TOLERANCE = {"wal_bytes": 0.02, "staged_bytes": 0.02}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StillServer]:
    """A server on which nothing else happens."""
    with still_server(tmp_path_factory.mktemp("still")) as made:
        yield made


@pytest.fixture
def deployment(
    server: StillServer,
    settings: Settings,
    s3_client: S3Client,
    unique_name: Callable[[str], str],
) -> Iterator[Deployment]:
    """One connection, and one heartbeat a step, so that threads do not decide the counts."""
    own = settings.model_copy(
        update={
            "postgres_dsn": SecretStr(server.database.importer_dsn),
            "postgres_admin_dsn": SecretStr(server.database.admin_dsn),
            "load_connections": 1,
            "heartbeat_seconds": 3_600.0,
        }
    )
    tenant = make_tenant(Database.from_settings(own), server.database, unique_name("acme"))
    with (
        dg.DagsterInstance.ephemeral() as instance,
        open_deployment(own, server.database, tenant, instance, s3_client) as made,
    ):
        yield made


def test_an_import_makes_no_more_work_than_recorded(
    deployment: Deployment, server: StillServer
) -> None:
    """Statements, round trips, connections, WAL, rows written and bytes staged."""
    made: dict[str, dict[str, Any]] = {}
    works: dict[str, Work] = {}
    for kind in KINDS:
        works[kind], staged = _import(deployment, server, 2 if kind == "changed" else 1)
        made[kind] = {**works[kind].as_document(), "staged_bytes": staged}
    if os.environ.get("RECORD_WORK"):
        RECORDED.write_text(json.dumps(made, indent=2) + "\n")
    recorded = json.loads(RECORDED.read_text())
    for kind in KINDS:
        for what, value in recorded[kind].items():
            slack = TOLERANCE.get(what)
            wanted = pytest.approx(value, rel=slack) if slack else value
            assert made[kind][what] == wanted, f"{kind}, {what}: {_told(works[kind])}"


def _import(deployment: Deployment, server: StillServer, version: int) -> tuple[Work, int]:
    """The same users, in this version; what was made, and the bytes staged."""
    frame = users(0, USERS, version=version)
    url = deployment.upload(",".join(COLUMNS) + "\n" + frame.write_csv(include_header=False))
    job_id = deployment.ask_for_file(url)
    _hang_up(deployment)
    with server.watched() as work:
        result = deployment.run_one()
        _hang_up(deployment)
        made = work()
    assert result.success
    assert deployment.row(job_id)["processed_nodes"] == USERS
    return made, int(metadata_of(result, "stream_parse")["staged_bytes"])


def _hang_up(deployment: Deployment) -> None:
    """Connections are kept until their process ends, as a run's does."""
    PostgresResource().database().close()


def _told(work: Work) -> str:
    """The statements, the most frequent first, for whoever looks for the one that is new."""
    calls = sorted(work.statements.items(), key=lambda item: -item[1])
    return "\n".join(f"{count:6} {' '.join(query.split())[:110]}" for query, count in calls)
