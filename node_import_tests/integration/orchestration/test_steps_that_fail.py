"""A step that fails is tried again; what nobody foresaw ends its job, and no other."""

from __future__ import annotations

from typing import Any

import pytest

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import TransientError
from node_import.objects.store import ObjectStore
from node_import_tests.support.deployment import Deployment, failure_of, metadata_of

GOOD = "id,name\nu-1,Ann\nu-2,Bob\n"


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
