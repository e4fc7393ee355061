"""Dagster's statuses as the job table understands them."""

from __future__ import annotations

from dataclasses import dataclass, field

import dagster as dg
import pytest
from dagster._core.events import RunFailureReason
from dagster._core.storage.tags import RUN_FAILURE_REASON_TAG

from node_import.jobs.runs import RunState
from node_import.orchestration.dagster_runs import LIVE_STATUSES, REASON_TAG, state_of

NOT_LIVE = {
    "MANAGED": RunState.OVER,
    "CANCELING": RunState.CANCELING,
    "CANCELED": RunState.CANCELED,
    "SUCCESS": RunState.OVER,
    "FAILURE": RunState.OVER,
}


@dataclass(frozen=True)
class Run:
    """As much of a run as is looked at; Dagster's own needs an origin to be QUEUED."""

    status: dg.DagsterRunStatus
    tags: dict[str, str] = field(default_factory=dict)


@pytest.mark.parametrize("status", dg.DagsterRunStatus, ids=lambda status: status.value)
def test_every_status_has_a_state(status: dg.DagsterRunStatus) -> None:
    """Whether a run of that status can still act; one that we do not know may."""
    expected = NOT_LIVE.get(status.value, RunState.LIVE)
    assert state_of(Run(status)) is expected  # type: ignore[arg-type]
    assert (status in LIVE_STATUSES) == (expected in {RunState.LIVE, RunState.CANCELING})


@pytest.mark.parametrize(
    ("reason", "state"),
    [("UNEXPECTED_TERMINATION", RunState.INTERRUPTED), ("STEP_FAILURE", RunState.OVER)],
)
def test_a_run_whose_worker_was_told_to_stop(reason: str, state: RunState) -> None:
    """It failed, too, but it has not died; Dagster says so by a tag."""
    assert RunFailureReason(reason)
    assert REASON_TAG == RUN_FAILURE_REASON_TAG
    run = Run(dg.DagsterRunStatus.FAILURE, {REASON_TAG: reason})
    assert state_of(run) is state  # type: ignore[arg-type]
    assert not state.can_act
