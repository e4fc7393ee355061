"""Jobs that are reopened for a backfill, and what is left alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from node_import.contracts.error_codes import ErrorCode
from node_import.database import Database
from node_import.jobs.reopening import FailedJobFilter, PastJob, failed_jobs, find_jobs
from node_import.replaying.backfill import Backfill, launch_backfill
from node_import.settings import Settings
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.tenants import Tenant, job_row, make_tenant, put


@dataclass
class Dagster:
    """Launches what it is given, or refuses."""

    refuses: bool = False
    launched: list[list[str]] = field(default_factory=list)

    def launch_backfill(self, partition_keys: Sequence[str]) -> str:
        if self.refuses:
            raise ConnectionError
        self.launched.append(list(partition_keys))
        return "backfill"


@pytest.fixture
def importer(database: TestDatabase) -> Database:
    settings = Settings(postgres_dsn=database.importer_dsn, kafka_bootstrap_servers="unused:9092")
    return Database.from_settings(settings)


@pytest.fixture
def acme(importer: Database, database: TestDatabase) -> Tenant:
    return make_tenant(importer, database, "acme")


def fail(database: TestDatabase, *jobs: UUID, **columns: object) -> None:
    for job in jobs:
        values = {"failure_code": "TIMEOUT", "finished_at": datetime.now(UTC), **columns}
        put(database, job, status="FAILED", attempt=1, **values)


def launch(
    importer: Database, dagster: Dagster, *jobs: UUID, force: bool = False
) -> tuple[Backfill, Mapping[UUID, PastJob]]:
    with importer.operator() as conn:
        found = find_jobs(conn, jobs)
        return launch_backfill(conn, found, dagster, force=force), found


def test_jobs_are_reopened_and_their_partitions_launched(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """In order of arrival; dispatch leaves them to the backfill for a while."""
    first, second, apart = acme.references(), acme.references(), acme.file()
    fail(database, first, second, partition_key="p", dispatch_no=3)
    fail(database, apart, partition_key="q")
    dagster = Dagster()

    result, _ = launch(importer, dagster, apart, second, first)

    assert dagster.launched == [["p", "q"]]
    assert result.as_document() == {
        "backfillId": "backfill",
        "jobs": [str(first), str(second), str(apart)],
        "partitions": ["p", "q"],
    }
    row = job_row(database, first)
    assert (row["status"], row["attempt"], row["dispatch_no"]) == ("PENDING", 1, 4)
    assert row["dispatched_at"] is not None
    assert row["failure_code"] is None


def test_a_job_without_a_partition_gets_one(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """It was closed before it ever went to Dagster."""
    job = acme.file()
    fail(database, job)
    dagster = Dagster()
    result, _ = launch(importer, dagster, job)
    row = job_row(database, job)
    assert dagster.launched == [result.partitions] == [[row["partition_key"]]]
    assert row["dispatched_at"] is not None


def test_what_dagster_refuses_has_not_happened(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """The jobs are FAILED as before."""
    job = acme.file()
    fail(database, job, partition_key="p")
    before = job_row(database, job)
    with pytest.raises(ConnectionError):
        launch(importer, Dagster(refuses=True), job)
    assert job_row(database, job) == before


def test_nothing_to_do_asks_dagster_nothing(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """Jobs that are not FAILED are told, and left as they are."""
    waiting, done = acme.file(), acme.file("h")
    put(database, done, status="COMPLETED", partition_key="p")
    dagster = Dagster()
    result, _ = launch(importer, dagster, waiting, done, force=True)
    assert (result.backfill_id, result.jobs, dagster.launched) == (None, [], [])
    assert [job for job, _ in result.refused] == [waiting, done]


def test_an_old_file_needs_force(importer: Database, acme: Tenant, database: TestDatabase) -> None:
    """A list of references never does, nor a file of another group."""
    old, references, other, newer = acme.file(), acme.references(), acme.file("h"), acme.file()
    fail(database, old, references, other)
    put(database, newer, status="COMPLETED")
    result, found = launch(importer, Dagster(), old, references, other)
    assert found[old].superseded_by == newer
    assert result.jobs == [references, other]
    assert [job for job, _ in result.refused] == [old]
    assert launch(importer, Dagster(), old, force=True)[0].jobs == [old]


def test_failed_jobs_are_found_by_domain_time_and_code(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """All conditions must hold; jobs that are not FAILED are none of them."""
    bolt = make_tenant(importer, database, "bolt")
    yesterday = datetime.now(UTC) - timedelta(days=1)
    old, new, theirs = acme.file(), acme.file("h"), bolt.file()
    acme.references()
    fail(database, old, finished_at=yesterday, failure_code="FILE_NOT_FOUND")
    fail(database, new, theirs)

    def found(**wanted: object) -> list[UUID]:
        with importer.operator() as conn:
            return list(failed_jobs(conn, FailedJobFilter(**wanted)))  # type: ignore[arg-type]

    assert found() == [old, new, theirs]
    assert found(domain_id=acme.domain_id) == [old, new]
    assert found(since=yesterday + timedelta(hours=1)) == [new, theirs]
    assert found(since=yesterday) == [old, new, theirs]
    assert found(codes=[ErrorCode.FILE_NOT_FOUND]) == [old]
    assert found(codes=[ErrorCode.TIMEOUT], domain_id=bolt.domain_id) == [theirs]
