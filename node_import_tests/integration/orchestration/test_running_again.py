"""What a second run over the same partition does: re-executions, rivals, cancels."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import dagster as dg
import pytest

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import TransientError
from node_import.jobs.recovery import recover
from node_import.jobs.runs import RunState
from node_import.objects.store import ObjectStore
from node_import.orchestration.dagster_runs import PARTITION_TAG
from node_import.orchestration.job import JOB_NAME
from node_import.orchestration.partitions import PARTITIONS_NAME
from node_import_tests.support.deployment import (
    Deployment,
    failure_of,
    metadata_of,
    partition_of,
)
from node_import_tests.support.runs import FakeRun, FakeRuns
from node_import_tests.support.tenants import put, rows

GOOD = "id,name\nu-1,Ann\nu-2,Bob\n"


def test_a_failed_job_is_executed_again(deployment: Deployment) -> None:
    """From the UI, under a new run id: a new attempt, a second answer, no row twice."""
    url = deployment.upload(GOOD) + ".missing"
    job_id = deployment.ask_for_file(url)
    first = deployment.run_one()
    assert deployment.row(job_id)["failure_code"] == "FILE_NOT_FOUND"

    deployment.upload(GOOD, "users.csv.missing")
    second = deployment.run(partition_of(first))

    assert second.success
    row = deployment.row(job_id)
    assert (row["status"], row["attempt"], row["inserted_nodes"]) == ("COMPLETED", 2, 2)
    assert row["dagster_run_id"] == second.run_id
    answers = [answer.value for answer in deployment.answers(job_id)]
    assert [(a["status"], a["attempt"]) for a in answers] == [("FAILED", 1), ("COMPLETED", 2)]
    assert len({answer.headers["ce_id"] for answer in deployment.answers(job_id)}) == 2


def test_a_completed_job_is_left_alone(deployment: Deployment) -> None:
    """A re-execution is green, says why it did nothing, and sends nothing."""
    job_id = deployment.ask_for_file(deployment.upload(GOOD))
    first = deployment.run_one()
    before = deployment.row(job_id)
    again = deployment.run(partition_of(first))
    assert again.success
    assert deployment.row(job_id) == before
    assert len(deployment.answers(job_id)) == 1
    assert metadata_of(again, "resolve_file")["left_alone"] == f"job {job_id} is COMPLETED already"


def test_an_old_file_does_not_overwrite_a_new_one(deployment: Deployment) -> None:
    """A re-execution of what a newer file has superseded is red and says how to insist."""
    old = deployment.ask_for_file(deployment.upload(GOOD) + ".missing")
    first = deployment.run_one()
    new = deployment.import_file(GOOD.replace("Ann", "Anna"), "new.csv")
    deployment.upload(GOOD, "users.csv.missing")
    again = deployment.run(partition_of(first))
    assert failure_of(again).startswith(f"FILE_NOT_FOUND: job {old} is older than job {new}")
    assert f"backfill --job {old} --force" in failure_of(again)
    assert deployment.nodes()["u-1"] == {"name": "Anna"}
    assert deployment.row(old)["attempt"] == 1


def test_from_a_later_step(deployment: Deployment) -> None:
    """Steps that are executed again by themselves claim the job anew; the ledger knows the rows."""
    with dg.instance_for_test() as instance:
        deployment.instance = instance
        job_id = deployment.ask_for_file(deployment.upload(GOOD))
        [due] = deployment.dispatch()
        instance.add_dynamic_partitions(PARTITIONS_NAME, [due.partition_key])
        job, tags = dg.reconstructable(job_of_environment), {PARTITION_TAG: due.partition_key}
        first = dg.execute_job(job, instance=instance, tags=tags)
        assert first.success
        fail(deployment, job_id, "KAFKA_UNAVAILABLE")
        options = dg.ReexecutionOptions(
            parent_run_id=first.run_id, step_selection=["close_job", "publish_status"]
        )
        second = dg.execute_job(job, instance=instance, tags=tags, reexecution_options=options)
        assert second.success
        row = deployment.row(job_id)
        assert (row["status"], row["attempt"], row["inserted_nodes"]) == ("COMPLETED", 2, 2)
        assert row["dagster_run_id"] == second.run_id
        # Its lists went with what was staged, and it says that they are not whole.
        assert deployment.answers(job_id)[1].value["successListTruncated"] is True


def test_a_later_step_without_its_rows(deployment: Deployment) -> None:
    """What was staged is gone and nothing is loaded: FAILED, and the reason says what to do."""
    with dg.instance_for_test() as instance:
        deployment.instance = instance
        deployment.configure(max_attempts=1)
        job_id = deployment.ask_for_file(deployment.upload(GOOD))
        [due] = deployment.dispatch()
        instance.add_dynamic_partitions(PARTITIONS_NAME, [due.partition_key])
        job, tags = dg.reconstructable(job_of_environment), {PARTITION_TAG: due.partition_key}
        first = dg.execute_job(job, instance=instance, tags=tags)
        fail(deployment, job_id, "DATABASE_UNAVAILABLE")
        rows_gone = "DELETE FROM import_ledger; DELETE FROM nodes"
        with deployment.database.connect() as conn:
            conn.execute(rows_gone)
        options = dg.ReexecutionOptions(
            parent_run_id=first.run_id,
            step_selection=["load_batch[batch_00]", "close_job", "publish_status"],
        )
        dg.execute_job(job, instance=instance, tags=tags, reexecution_options=options)
        row = deployment.row(job_id)
        assert (row["status"], row["failure_code"]) == ("FAILED", "OBJECT_STORE_UNAVAILABLE")
        assert (row["attempt"], row["failed_nodes"]) == (2, 2)
        assert "the source has to be read again" in row["failure_reason"]


def test_rows_that_were_too_long_are_good_under_a_higher_limit(deployment: Deployment) -> None:
    """A job that runs again after the limit was raised reads and loads its file anew."""
    deployment.configure(max_value_bytes=5)
    job_id = deployment.ask_for_file(deployment.upload("id,name\nu-1,Ann\nu-2,Bartholomew\n"))
    first = deployment.run_one()
    row = deployment.row(job_id)
    assert (row["failure_code"], row["inserted_nodes"]) == ("ROWS_REJECTED", 1)

    deployment.configure(max_value_bytes=65_536)
    again = deployment.run(partition_of(first))

    assert again.success
    row = deployment.row(job_id)
    assert (row["status"], row["total_nodes"]) == ("COMPLETED", 2)
    assert (row["inserted_nodes"], row["unchanged_nodes"]) == (1, 1)
    assert deployment.nodes() == {"u-1": {"name": "Ann"}, "u-2": {"name": "Bartholomew"}}


def test_lists_of_what_an_earlier_attempt_loaded_are_not_called_whole(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where this attempt could not read the source, nobody knows which references they were."""
    job_id = deployment.ask_for_file(deployment.upload(GOOD))
    first = deployment.run_one()
    fail(deployment, job_id, "RUN_DIED")

    def away(*_: object, **__: object) -> None:
        raise TransientError(ErrorCode.OBJECT_STORE_UNAVAILABLE, "away")

    monkeypatch.setattr("node_import.pipeline.stream_parse.stage_file", away)
    deployment.configure(max_attempts=1)
    deployment.run(partition_of(first))

    answer = deployment.answers(job_id)[1].value
    assert (answer["status"], answer["failureCode"]) == ("FAILED", "OBJECT_STORE_UNAVAILABLE")
    assert answer["processed"] == 2
    assert answer["successListTruncated"] is True


def job_of_environment() -> dg.JobDefinition:
    """The job as the definitions make it, for a process that has only the environment."""
    from node_import.definitions import defs

    return defs.get_job_def(JOB_NAME)


def fail(deployment: Deployment, job_id: UUID, code: str) -> None:
    """As if another run had closed the job as FAILED."""
    put(
        deployment.database,
        job_id,
        status="FAILED",
        failure_code=code,
        failure_reason="of a test",
        dagster_run_id="another",
    )


def test_two_runs_at_once(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second leaves the job to the first, is red, and says which run has it."""
    at_work, go_on = threading.Event(), threading.Event()
    pin = ObjectStore.pin

    def slowly(store: ObjectStore, location: Any) -> Any:
        at_work.set()
        assert go_on.wait(60)
        return pin(store, location)

    monkeypatch.setattr(ObjectStore, "pin", slowly)
    job_id = deployment.ask_for_file(deployment.upload(GOOD))
    [due] = deployment.dispatch()
    first: list[dg.ExecuteInProcessResult] = []
    thread = threading.Thread(
        target=lambda: first.append(deployment.run(due.partition_key, due.run_key))
    )
    thread.start()
    try:
        assert at_work.wait(60)
        second = deployment.run(due.partition_key)
    finally:
        go_on.set()
        thread.join()
    assert first[0].success
    said = f"job {job_id} is being imported by run {first[0].run_id}, not by this one"
    assert failure_of(second) == said
    row = deployment.row(job_id)
    assert (row["status"], row["attempt"]) == ("COMPLETED", 1)
    assert len(deployment.answers(job_id)) == 1


@pytest.fixture
def blocked_nodes(deployment: Deployment) -> Iterator[None]:
    """Somebody holds a lock on the nodes, so that slices wait."""
    with deployment.database.connect() as conn, conn.transaction():
        conn.execute("LOCK TABLE nodes IN SHARE MODE")
        yield


def test_a_canceled_run_stops_at_once(deployment: Deployment, blocked_nodes: None) -> None:
    """No query goes on, nothing of what ran is committed, and its job ends as CANCELED."""
    job_id = deployment.ask_for_file(deployment.upload(GOOD))
    [due] = deployment.dispatch()
    waiting = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND wait_event_type = 'Lock'"
    )

    def interrupt() -> None:
        while rows(deployment.database, waiting) == [(0,)]:
            time.sleep(0.05)
        [run] = deployment.instance.get_runs()
        deployment.instance.report_run_canceling(run)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    result = deployment.run(due.partition_key, due.run_key)
    thread.join()
    assert not result.success
    assert rows(deployment.database, waiting) == [(0,)]
    assert rows(deployment.database, "SELECT count(*) FROM import_ledger") == [(0,)]
    assert deployment.row(job_id)["status"] == "RUNNING", deployment.row(job_id)["failure_reason"]

    canceled = FakeRuns({result.run_id: FakeRun(result.run_id, "", RunState.CANCELED)})
    recover(deployment.tenant.database, deployment.settings, canceled)
    assert deployment.row(job_id)["failure_code"] == "CANCELED"
