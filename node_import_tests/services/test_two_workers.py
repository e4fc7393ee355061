"""One run, launched twice: Dagster's queue knows no lock, so two daemons can do that."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._grpc.types import ExecuteRunArgs

from node_import.database import Database
from node_import.orchestration.dagster_runs import PARTITION_TAG, RUN_KEY_TAG
from node_import.orchestration.job import JOB_NAME
from node_import.settings import Settings
from node_import_tests.services.cluster import (
    PATIENCE,
    Cluster,
    open_cluster,
)
from node_import_tests.services.machines import Machine
from node_import_tests.services.topics import wait_until
from node_import_tests.support.databases import DatabaseFactory, TestDatabase
from node_import_tests.support.tenants import make_tenant, rows

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ROWS = 60_000


@pytest.fixture
def storage(database_factory: DatabaseFactory) -> Iterator[TestDatabase]:
    """Where Dagster keeps runs and events."""
    with database_factory.database() as made:
        yield made


@pytest.fixture
def cluster(
    settings: Settings,
    database: TestDatabase,
    storage: TestDatabase,
    s3_client: S3Client,
    unique_name: Callable[[str], str],
    tmp_path: Path,
) -> Iterator[Cluster]:
    """A tenant, and machines that share no disk."""
    tenant = make_tenant(Database.from_settings(settings), database, unique_name("acme"))
    with open_cluster(settings, database, tenant, storage, s3_client, tmp_path) as made:
        yield made


def run_worker_command(cluster: Cluster) -> tuple[str, list[str]]:
    """A run of the next dispatch, and what a launcher starts for it."""
    due = cluster.next_due()
    repository = ReconstructableRepository.for_module("node_import.definitions", "defs")
    job = repository.get_reconstructable_job(JOB_NAME)
    instance = cluster.deployment.instance
    run = instance.create_run_for_job(
        job_def=job.get_definition(),
        tags={PARTITION_TAG: due.partition_key, RUN_KEY_TAG: due.run_key},
        job_code_origin=job.get_python_origin(),
    )
    arguments = ExecuteRunArgs(job.get_python_origin(), run.run_id, instance.get_ref())
    return run.run_id, [*arguments.get_command_args()]


def saying_something(storage: TestDatabase) -> int:
    """How many workers wait to write an event of their run."""
    mine = "datname = current_database() AND wait_event_type = 'Lock'"
    query = "query ~ '^INSERT INTO event_logs'"
    [(count,)] = rows(storage, f"SELECT count(*) FROM pg_stat_activity WHERE {mine} AND {query}")
    return int(count)


def start_side_by_side(
    workers: Sequence[Machine], command: list[str], storage: TestDatabase
) -> None:
    """Each goes as far as to say that it is there, then to say that the run has begun.

    Both have then looked whether it had begun before: later, Dagster would send the second away.
    """
    with storage.connect() as conn:
        for _ in ("I am here", "the run has begun"):
            with conn.transaction():
                conn.execute("LOCK TABLE event_logs IN EXCLUSIVE MODE")
                for worker in workers:
                    if worker.process is None:
                        worker.start(*command)
                wait_until(lambda: saying_something(storage) == len(workers), PATIENCE)


def test_a_run_with_two_workers_imports_once(cluster: Cluster, storage: TestDatabase) -> None:
    """Both go all the way, and the ledger and the close let each row and message be one."""
    deployment = cluster.deployment
    lines = (f"u-{n % (ROWS - 500)},name {n}" for n in range(ROWS))
    # Plain text under this name is planned as six times its size: several batches of a small file.
    url = deployment.upload("\n".join(["id,name", *lines]), "users.csv.gz")
    job_id = deployment.ask_for_file(url)
    run_id, command = run_worker_command(cluster)
    workers = [cluster.machine(name) for name in ("one", "other")]
    start_side_by_side(workers, command, storage)
    for worker in workers:
        assert worker.wait(PATIENCE) == 0, worker.log()

    events = Counter(
        entry.dagster_event.event_type_value
        for entry in deployment.instance.all_logs(run_id)
        if entry.dagster_event
    )
    assert events["PIPELINE_START"] == len(workers)
    row = deployment.row(job_id)
    assert (row["status"], row["attempt"]) == ("COMPLETED", 1)
    assert (row["inserted_nodes"], row["duplicate_nodes"]) == (ROWS - 500, 500)
    assert len(deployment.nodes()) == ROWS - 500
    assert deployment.answer(job_id)["status"] == "COMPLETED"
