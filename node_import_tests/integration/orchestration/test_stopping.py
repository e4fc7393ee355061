"""A run worker that is told to stop (SIGTERM) while its run is not, and while it is, canceled."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import dagster as dg
import psycopg
import pytest

from node_import.jobs.dispatch import Dispatch
from node_import.jobs.recovery import recover
from node_import.orchestration.dagster_runs import DagsterRuns
from node_import.orchestration.executors import executor_of
from node_import.orchestration.job import JOB_NAME, import_job
from node_import_tests.support.deployment import Deployment, metadata_of
from node_import_tests.support.run_workers import PATIENCE_SECONDS, RunWorker, run_worker
from node_import_tests.support.tenants import rows

SMALL_SLICES = "node_import_tests.integration.orchestration.small_slices"
WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    " AND usename = 'ni_importer' AND wait_event_type = 'Lock'"
)
# A node that is there already, so that it can be locked; it is not in the first slice.
LOCKED = "u-7"
NODE = (
    "INSERT INTO nodes (id, reference_id, group_id, type, domain_id, created_at)"
    " VALUES (gen_random_uuid(), %s, %s, 'USER', %s, now())"
)


PEOPLE = "id,name\n" + "".join(f"u-{number},new\n" for number in range(1_000))


@pytest.fixture
def deployment(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """With an instance that other processes see, and the same small slices in this one."""
    monkeypatch.setattr("node_import.staging.plan.SLICE_TARGET_BYTES", 1_000)
    monkeypatch.setattr("node_import.staging.plan.BATCH_TARGET_BYTES", 100_000)
    deployment.configure(load_connections=1)
    tenant = deployment.tenant
    with deployment.database.connect() as conn:
        conn.execute(NODE, [LOCKED, tenant.groups["g"], tenant.domain_id])
    with dg.instance_for_test() as instance:
        deployment.instance = instance
        yield deployment


def dispatched(deployment: Deployment) -> Dispatch:
    """An import of a thousand people, in several slices, is due."""
    deployment.ask_for_file(deployment.upload(PEOPLE))
    [due] = deployment.dispatch()
    return due


def worker_for(deployment: Deployment, due: Dispatch) -> AbstractContextManager[RunWorker]:
    """A process for its run."""
    job = import_job(executor_of(deployment.settings))
    return run_worker(deployment.instance, job, SMALL_SLICES, due)


@contextmanager
def held(deployment: Deployment, statement: str) -> Iterator[psycopg.Connection]:
    """Somebody else has a lock."""
    with psycopg.connect(deployment.database.admin_dsn) as conn:
        conn.execute(statement)
        yield conn
        conn.rollback()


def until_it_waits(deployment: Deployment, worker: RunWorker) -> None:
    """The worker waits for the lock."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while rows(deployment.database, WAITING) == [(0,)]:
        assert worker.process.poll() is None, worker.log()
        assert time.monotonic() < deadline, worker.log()
        time.sleep(0.05)


def slices_loaded(deployment: Deployment) -> int:
    """How many the ledger has of the import that is under way."""
    [(count,)] = rows(
        deployment.database,
        "SELECT count(*) FROM import_ledger JOIN nodes_import_job ON job_id = id"
        " WHERE status <> 'COMPLETED'",
    )
    return int(count)


def test_a_worker_that_is_told_to_stop(deployment: Deployment) -> None:
    """The slice in hand ends, no other begins, the job is due at once and goes on where it was."""
    deployment.configure(shutdown_grace_seconds=60.0)
    due = dispatched(deployment)
    [job_id] = due.job_ids
    with (
        held(deployment, f"SELECT FROM nodes WHERE reference_id = '{LOCKED}' FOR UPDATE") as other,
        worker_for(deployment, due) as worker,
    ):
        until_it_waits(deployment, worker)
        before = slices_loaded(deployment)
        worker.send(signal.SIGTERM)
        worker.until_it_says("told to stop")
        other.rollback()
        run = worker.wait()
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert f"Job {job_id} is released" in worker.log()
    assert slices_loaded(deployment) == before + 1
    row = deployment.row(job_id)
    assert (row["status"], row["died_runs"], row["attempt"]) == ("PENDING", 0, 1)
    assert row["dispatched_at"] is None
    assert deployment.nodes()[LOCKED] == {"name": "new"}

    again = deployment.run_one()
    assert again.success
    row = deployment.row(job_id)
    assert (row["status"], row["attempt"], row["processed_nodes"]) == ("COMPLETED", 2, 1_000)
    assert metadata_of(again, "load_batch[batch_00]")["slices_loaded_before"] == before + 1


def test_a_slice_that_takes_too_long_is_rolled_back(deployment: Deployment) -> None:
    """When the grace is over, so that the worker ends before it is killed."""
    deployment.configure(shutdown_grace_seconds=0.5)
    due = dispatched(deployment)
    with (
        held(deployment, f"SELECT FROM nodes WHERE reference_id = '{LOCKED}' FOR UPDATE"),
        worker_for(deployment, due) as worker,
    ):
        until_it_waits(deployment, worker)
        before = slices_loaded(deployment)
        worker.send(signal.SIGTERM)
        assert worker.wait().status is dg.DagsterRunStatus.FAILURE
        assert slices_loaded(deployment) == before > 0
    row = deployment.row(due.job_ids[0])
    assert (row["status"], row["died_runs"]) == ("PENDING", 0)
    assert deployment.nodes()[LOCKED] == {}


def test_a_canceled_run_is_not_given_time(deployment: Deployment) -> None:
    """The same signal, but Dagster knows of a cancel: rolled back at once, and FAILED CANCELED."""
    deployment.configure(shutdown_grace_seconds=3_600.0)
    due = dispatched(deployment)
    with (
        held(deployment, f"SELECT FROM nodes WHERE reference_id = '{LOCKED}' FOR UPDATE"),
        worker_for(deployment, due) as worker,
    ):
        until_it_waits(deployment, worker)
        before = slices_loaded(deployment)
        deployment.instance.report_run_canceling(worker.run())
        worker.send(signal.SIGTERM)
        assert worker.wait().status is dg.DagsterRunStatus.CANCELED
        assert slices_loaded(deployment) == before
    assert deployment.row(due.job_ids[0])["status"] == "RUNNING"
    runs = DagsterRuns(deployment.instance, JOB_NAME)
    assert recover(deployment.tenant.database, deployment.settings, runs).closed == due.job_ids
    row = deployment.row(due.job_ids[0])
    assert (row["status"], row["failure_code"]) == ("FAILED", "CANCELED")


def test_steps_in_processes_of_their_own(deployment: Deployment) -> None:
    """The slice in hand ends in its process; the job is due again when the whole run has ended."""
    deployment.configure(executor="multiprocess", shutdown_grace_seconds=60.0)
    due = dispatched(deployment)
    with (
        held(deployment, f"SELECT FROM nodes WHERE reference_id = '{LOCKED}' FOR UPDATE") as other,
        worker_for(deployment, due) as worker,
    ):
        until_it_waits(deployment, worker)
        before = slices_loaded(deployment)
        worker.send(signal.SIGTERM)
        worker.until_it_says("told to stop")
        other.rollback()
        assert worker.wait().status is dg.DagsterRunStatus.FAILURE
    assert slices_loaded(deployment) == before + 1
    assert deployment.row(due.job_ids[0])["status"] == "RUNNING"
    runs = DagsterRuns(deployment.instance, JOB_NAME)
    assert recover(deployment.tenant.database, deployment.settings, runs).put_back == due.job_ids
    row = deployment.row(due.job_ids[0])
    assert (row["status"], row["died_runs"]) == ("PENDING", 0)


def test_a_worker_that_is_told_to_stop_while_it_closes(deployment: Deployment) -> None:
    """Any step releases the job; the next run finds all slices loaded."""
    due = dispatched(deployment)
    with (
        held(deployment, "LOCK TABLE job_status_event IN SHARE MODE"),
        worker_for(deployment, due) as worker,
    ):
        until_it_waits(deployment, worker)
        worker.send(signal.SIGTERM)
        assert worker.wait().status is dg.DagsterRunStatus.FAILURE
    row = deployment.row(due.job_ids[0])
    assert (row["status"], row["died_runs"]) == ("PENDING", 0)
    assert rows(deployment.database, "SELECT FROM job_status_event") == []
    again = deployment.run_one()
    assert deployment.row(due.job_ids[0])["processed_nodes"] == 1_000
    shown = metadata_of(again, "load_batch[batch_00]")
    assert shown["slices_loaded_before"] == shown["slices"]


def test_a_worker_that_is_told_to_stop_before_it_claims(deployment: Deployment) -> None:
    """Nothing is released, for it holds nothing; dispatch does not count it as a run that died."""
    due = dispatched(deployment)
    [job_id] = due.job_ids
    with (
        held(deployment, f"SELECT FROM nodes_import_job WHERE id = '{job_id}' FOR UPDATE"),
        worker_for(deployment, due) as worker,
    ):
        until_it_waits(deployment, worker)
        worker.send(signal.SIGTERM)
        assert worker.wait().status is dg.DagsterRunStatus.FAILURE
    [again] = deployment.dispatch()
    assert again.run_key != due.run_key
    row = deployment.row(job_id)
    assert (row["status"], row["died_runs"], row["attempt"]) == ("PENDING", 0, 0)


def test_a_connection_that_breaks_shows_in_the_run(deployment: Deployment) -> None:
    """The retry is a line in its log and a number at its step, and the job is COMPLETED."""
    due = dispatched(deployment)
    with (
        held(deployment, f"SELECT FROM nodes WHERE reference_id = '{LOCKED}' FOR UPDATE") as other,
        worker_for(deployment, due) as worker,
    ):
        until_it_waits(deployment, worker)
        rows(
            deployment.database,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND datname = current_database() AND usename = 'ni_importer'",
        )
        worker.until_it_says("it is begun again")
        other.rollback()
        assert worker.wait().status is dg.DagsterRunStatus.SUCCESS
    assert "terminating connection due to administrator command" in worker.log()
    [output] = [
        entry.dagster_event.step_output_data.metadata
        for entry in deployment.instance.all_logs(worker.run_id, dg.DagsterEventType.STEP_OUTPUT)
        if entry.dagster_event and entry.dagster_event.step_key == "load_batch[batch_00]"
    ]
    assert output["slice_retries"].value == 1
    assert deployment.row(due.job_ids[0])["processed_nodes"] == 1_000
