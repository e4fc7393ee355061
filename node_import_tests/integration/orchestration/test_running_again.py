"""What a second run over the same partition does: re-executions, retries, rivals."""

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


def test_a_store_that_comes_back(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transient failure is tried again, and the job is COMPLETED in one attempt."""
    failures = iter([TransientError(ErrorCode.OBJECT_STORE_UNAVAILABLE, "away")])
    pin = ObjectStore.pin

    def sometimes(store: ObjectStore, location: Any) -> Any:
        for failure in failures:
            raise failure
        return pin(store, location)

    monkeypatch.setattr(ObjectStore, "pin", sometimes)
    job_id = deployment.ask_for_file(deployment.upload(GOOD))
    result = deployment.run_one()
    assert result.success
    assert deployment.row(job_id)["attempt"] == 1
    retried = [e for e in result.all_events if e.event_type_value == "STEP_RESTARTED"]
    assert [event.step_key for event in retried] == ["resolve_file"]


class PanicException(BaseException):
    """What polars raises instead of dying."""


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("node_import.pipeline.resolve_file.ResolvedJob", None),
        ("node_import.pipeline.stream_parse.stage_file", PanicException("index out of bounds")),
        ("node_import.pipeline.stream_parse.stage_file", MemoryError()),
        ("node_import.loading.slice_attempts.prepared_rows", ZeroDivisionError("division by zero")),
    ],
)
def test_a_fault_that_nobody_foresaw(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, where: str, error: BaseException | None
) -> None:
    """After the last try its job is FAILED `RUN_DIED`, with what happened and where to look."""
    if error is None:
        where, error = "node_import.objects.store.ObjectStore.pin", KeyError("ETag")
    tries = []

    def fail(*_: object, **__: object) -> None:
        tries.append(1)
        raise error

    monkeypatch.setattr(where, fail)
    deployment.configure(max_attempts=2)
    job_id = deployment.ask_for_file(deployment.upload(GOOD))
    result = deployment.run_one()
    assert len(tries) == 2
    row = deployment.row(job_id)
    assert (row["status"], row["failure_code"]) == ("FAILED", "RUN_DIED")
    assert type(error).__name__ in row["failure_reason"]
    assert result.run_id in row["failure_reason"]
    assert failure_of(result).startswith(f"RUN_DIED: job {job_id}")
    assert len(deployment.letters(job_id)) == 1


def test_a_fault_in_one_list_does_not_stop_the_others(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a group, only the job that was hit is FAILED."""
    from node_import.parsing import stage

    def fail_for_one(references: list[str], **more: Any) -> Any:
        if "bad" in references:
            raise ZeroDivisionError
        return stage.stage_references(references, **more)

    monkeypatch.setattr("node_import.pipeline.stream_parse.stage_references", fail_for_one)
    deployment.configure(max_attempts=1)
    bad, good = deployment.ask_for_references(["bad"]), deployment.ask_for_references(["good"])
    deployment.run_one()
    assert deployment.row(bad)["failure_code"] == "RUN_DIED"
    assert deployment.row(good)["status"] == "COMPLETED"


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


def test_a_close_that_is_tried_again_shows_all_it_closed(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows are read from the table, so those of the first try are there too."""
    from node_import.pipeline import close_job

    closings: list[object] = []

    def close_once(*arguments: Any) -> bool:
        if len(closings) == 1:
            closings.append(None)
            raise TransientError(ErrorCode.DATABASE_UNAVAILABLE, "away")
        closings.append(None)
        return close(*arguments)

    close = close_job.close
    monkeypatch.setattr(close_job, "close", close_once)
    for number in range(3):
        deployment.ask_for_references([f"u-{number}"])
    result = deployment.run_one()
    assert result.success
    shown = metadata_of(result, "close_job")
    assert (shown["jobs_completed"], shown["total_nodes"]) == (3, 3)
    assert "left_alone" not in shown


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
