"""One import over several machines: Celery with Redis, workers that share no disk."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from node_import.database import Database
from node_import.orchestration.dagster_runs import DagsterRuns
from node_import.orchestration.job import JOB_NAME
from node_import.settings import Settings
from node_import_tests.services.cluster import (
    PATIENCE,
    Cluster,
    open_cluster,
    waiting_for_locks,
)
from node_import_tests.services.machines import Machine
from node_import_tests.services.redis import redis_server
from node_import_tests.services.topics import wait_until
from node_import_tests.support.databases import DatabaseFactory, TestDatabase
from node_import_tests.support.tenants import make_tenant, rows

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

EXPIRY = 10.0  # seconds without a sign of life, after which a run is dead
ROWS = 150_000
# Plain text under this name is planned as six times its size: several batches of a small file.
NAME = "users.csv.gz"


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Broker and backend."""
    with redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def cluster(
    settings: Settings,
    database: TestDatabase,
    database_factory: DatabaseFactory,
    s3_client: S3Client,
    unique_name: Callable[[str], str],
    redis_url: str,
    tmp_path: Path,
) -> Iterator[Cluster]:
    """A tenant, Dagster's storage in PostgreSQL, and no worker yet."""
    own = settings.model_copy(
        update={
            "executor": "celery",
            "celery_broker_url": SecretStr(redis_url),
            "heartbeat_seconds": 1.0,
            "heartbeat_expiry": EXPIRY,
        }
    )
    tenant = make_tenant(Database.from_settings(own), database, unique_name("acme"))
    with (
        database_factory.database() as storage,
        open_cluster(own, database, tenant, storage, s3_client, tmp_path) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def content() -> str:
    """A file of four batches and sixteen slices; some rows are bad, some come twice."""
    lines = [f"u-{n % (ROWS - 500)},name {n},{n % 97},{'x' * 60}" for n in range(ROWS)]
    return "\n".join(["id,name,shard,filling", *lines, "bad,row", ""])


def loading_steps(cluster: Cluster) -> set[str]:
    """The workers that have begun to load a batch of the newest run."""
    run_ids = cluster.run_ids()
    if not run_ids:
        return set()
    begun = cluster.executed_by(run_ids[0])
    return {worker for step, worker in begun.items() if step.startswith("load_batch")}


def test_the_rows_are_those_of_one_process(cluster: Cluster, content: str) -> None:
    """Both workers executed steps, all went through the services, and no disk holds anything."""
    deployment = cluster.deployment
    deployment.configure(executor="in_process")
    alone = deployment.import_file(content, NAME)
    deployment.configure(executor="celery")

    workers = {name: cluster.worker(name) for name in ("one", "two")}
    job_id = deployment.ask_for_file(deployment.upload(content, NAME), "h")
    run = cluster.run()
    assert run.wait(PATIENCE) != 0  # red: rows were rejected

    steps = cluster.executed_by(cluster.run_ids()[0])
    assert len([step for step in steps if step.startswith("load_batch")]) >= 4
    assert set(steps.values()) == set(workers)
    here, there = deployment.row(alone), deployment.row(job_id)
    counts = [name for name in here if name.endswith("_nodes")]
    assert [there[name] for name in counts] == [here[name] for name in counts]
    assert there["failure_code"] == here["failure_code"] == "ROWS_REJECTED"
    assert there["inserted_nodes"] == ROWS - 500
    assert deployment.nodes("h") == deployment.nodes("g")
    [one], [other] = deployment.answers(alone), deployment.answers(job_id)
    names = ("status", "processed", "total", "failedList")
    assert {name: one.value[name] for name in names} == {name: other.value[name] for name in names}

    listed = deployment.s3.list_objects_v2(Bucket=deployment.settings.s3_bucket)
    keys = {found["Key"].partition("/")[0] for found in listed["Contents"]}
    assert "step-outputs" in keys
    assert "staging" not in keys  # it was, until the job was closed
    for machine in (run, *workers.values()):
        assert machine.files() == []


def test_no_secret_is_in_what_dagster_keeps(cluster: Cluster) -> None:
    """Neither the broker's password nor the object store's is in runs or events."""
    deployment = cluster.deployment
    cluster.worker("one")
    deployment.ask_for_file(deployment.upload("id\nu-1\n"))
    run = cluster.run()
    assert run.wait(PATIENCE) == 0, run.log()
    settings = deployment.settings
    assert settings.celery_broker_url is not None
    assert settings.s3_secret_key is not None
    broker = settings.celery_broker_url.get_secret_value()
    secrets = (broker, broker.split(":")[2].partition("@")[0])
    kept = [repr(deployment.instance.get_runs())]
    kept += [repr(entry) for entry in deployment.instance.all_logs(cluster.run_ids()[0])]
    snapshot = deployment.instance.get_runs()[0].job_snapshot_id
    assert snapshot is not None
    kept.append(repr(deployment.instance.get_job_snapshot(snapshot)))
    for secret in (*secrets, settings.s3_secret_key.get_secret_value()):
        assert not any(secret in text for text in kept)


def test_a_worker_that_is_killed_in_the_middle(cluster: Cluster, content: str) -> None:
    """Its run falls silent and ends, the job goes back, and the next run completes it."""
    deployment = cluster.deployment
    victim, heir = cluster.worker("victim"), cluster.worker("heir")
    good = content.removesuffix("bad,row\n")
    job_id = deployment.ask_for_file(deployment.upload(good, NAME))
    with deployment.database.connect() as conn, conn.transaction():
        conn.execute("LOCK TABLE nodes IN EXCLUSIVE MODE")  # nothing is loaded before the kill
        run = cluster.run()
        wait_until(lambda: loading_steps(cluster) == {"victim", "heir"}, PATIENCE)
        victim.end()
    wait_until(lambda: cluster.recover() == 1, PATIENCE)

    assert run.wait(PATIENCE) != 0
    said = [entry.dagster_event for entry in deployment.instance.all_logs(cluster.run_ids()[0])]
    assert any("no sign of life" in (event.message or "") for event in said if event)
    loaded_before = rows(deployment.database, "SELECT count(*) FROM import_ledger")[0][0]
    assert 0 < loaded_before < 16
    again = cluster.run("again")
    assert again.wait(PATIENCE) == 0, again.log()
    row = deployment.row(job_id)
    assert (row["status"], row["attempt"], row["inserted_nodes"]) == ("COMPLETED", 2, ROWS - 500)
    assert len(deployment.nodes()) == ROWS - 500
    assert [answer.value["status"] for answer in deployment.answers(job_id)] == ["COMPLETED"]
    assert heir.files() == []


def test_a_run_that_waits_for_workers_is_not_dead(cluster: Cluster) -> None:
    """All workers are busy or away, for longer than a silent run may live."""
    deployment = cluster.deployment
    job_id = deployment.ask_for_file(deployment.upload("id\nu-1\n"))
    run = cluster.run()
    wait_until(lambda: bool(cluster.run_ids()), PATIENCE)
    runs = DagsterRuns(deployment.instance, JOB_NAME)
    wait_until(lambda: bool(runs.started_before(1.5 * EXPIRY)), PATIENCE)
    assert cluster.recover() == 0
    assert deployment.row(job_id)["status"] == "PENDING"
    cluster.worker("late")
    assert run.wait(PATIENCE) == 0, run.log()
    assert deployment.row(job_id)["status"] == "COMPLETED"


def cancel(cluster: Cluster, run: Machine) -> None:
    """As in Dagster's UI: the run is marked, and its process interrupted."""
    instance = cluster.deployment.instance
    [begun] = instance.get_runs()
    instance.report_run_canceling(begun)
    run.end(signal.SIGINT)
    run.wait(PATIENCE)


def test_a_canceled_run_stops_its_workers(cluster: Cluster, content: str) -> None:
    """The step in hand is ended, not only those that wait; what it was at is rolled back."""
    deployment = cluster.deployment
    worker = cluster.worker("one")
    deployment.ask_for_file(deployment.upload(content, NAME))
    with deployment.database.connect() as conn, conn.transaction():
        conn.execute("LOCK TABLE nodes IN EXCLUSIVE MODE")
        run = cluster.run()
        wait_until(lambda: loading_steps(cluster) == {"one"}, PATIENCE)
        wait_until(lambda: waiting_for_locks(deployment.database) > 0, PATIENCE)
        cancel(cluster, run)
        wait_until(lambda: waiting_for_locks(deployment.database) == 0, PATIENCE)
    assert rows(deployment.database, "SELECT count(*) FROM nodes") == [(0,)]
    deployment.ask_for_references(["u-1"], "h")
    again = cluster.run("again")
    assert again.wait(PATIENCE) == 0, again.log()
    assert worker.process is not None
    assert worker.process.poll() is None
