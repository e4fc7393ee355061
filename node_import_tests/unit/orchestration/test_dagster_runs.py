"""Dagster's statuses as the job table understands them."""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg
import pytest

from node_import.jobs.runs import RunState
from node_import.orchestration.dagster_runs import LIVE_STATUSES, state_of

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


@pytest.mark.parametrize("status", dg.DagsterRunStatus, ids=lambda status: status.value)
def test_every_status_has_a_state(status: dg.DagsterRunStatus) -> None:
    """Whether a run of that status can still act; one that we do not know may."""
    expected = NOT_LIVE.get(status.value, RunState.LIVE)
    assert state_of(Run(status)) is expected  # type: ignore[arg-type]
    assert (status in LIVE_STATUSES) == (expected in {RunState.LIVE, RunState.CANCELING})
