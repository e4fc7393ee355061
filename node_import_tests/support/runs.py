"""Dagster's runs as jobs see them, without Dagster."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from node_import.jobs.dispatch import Dispatch
from node_import.jobs.runs import RunState

ALIVE = (RunState.LIVE, RunState.CANCELING)


@dataclass
class FakeRun:
    """One run; its id is its run key."""

    run_key: str
    partition_key: str
    state: RunState = RunState.LIVE
    started_long_ago: bool = False
    made_at: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass
class FakeRuns:
    """A launcher that launches nothing; see `node_import.jobs.runs.Runs`."""

    runs: dict[str, FakeRun] = field(default_factory=dict)

    def submit(self, *dispatches: Dispatch) -> None:
        """As Dagster's daemon does; a run key that is known is skipped."""
        for dispatch in dispatches:
            run = FakeRun(dispatch.run_key, dispatch.partition_key)
            self.runs.setdefault(dispatch.run_key, run)

    def end(self, run_key: str, state: RunState = RunState.OVER) -> None:
        """The run comes into that state."""
        self.runs[run_key].state = state

    def live_partitions(self) -> Collection[str]:
        """See `Runs`."""
        return [run.partition_key for run in self.runs.values() if run.state in ALIVE]

    def by_run_key(self, run_keys: Collection[str]) -> Mapping[str, RunState]:
        """See `Runs`."""
        return {key: self.runs[key].state for key in run_keys if key in self.runs}

    def by_id(self, run_ids: Collection[str]) -> Mapping[str, RunState]:
        """See `Runs`."""
        return self.by_run_key(run_ids)

    def canceled_since(self, moments: Mapping[str, datetime]) -> Collection[str]:
        """See `Runs`."""
        newest = {
            run.partition_key: run.state
            for run in self.runs.values()
            if run.partition_key in moments and run.made_at > moments[run.partition_key]
        }
        return [key for key, state in newest.items() if state is RunState.CANCELED]

    def started_before(self, seconds: float) -> Collection[str]:
        """See `Runs`."""
        return [run.run_key for run in self.runs.values() if run.started_long_ago]
