"""What jobs need to know of Dagster's runs; `orchestration` answers, and tests do."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Protocol

# The job that every import is a run of, under the name that Dagster knows.
JOB_NAME = "import_nodes"


class RunState(StrEnum):
    """Whether a run can still act."""

    LIVE = "live"  # queued, not started, starting or started
    CANCELING = "canceling"  # asked to stop; it can still act
    OVER = "over"  # succeeded or failed
    INTERRUPTED = "interrupted"  # failed, because its worker was told to stop
    CANCELED = "canceled"

    @property
    def can_act(self) -> bool:
        """Whether it may still claim, load or close."""
        return self in {RunState.LIVE, RunState.CANCELING}


class Runs(Protocol):
    """The runs of the import job. A run that Dagster does not know is left out of an answer."""

    def live_partitions(self) -> Collection[str]:
        """The partition key of each live or canceling run, once for each run: one query."""

    def by_run_key(self, run_keys: Collection[str]) -> Mapping[str, RunState]:
        """The state of the runs that were requested under these run keys."""

    def canceled_since(self, moments: Mapping[str, datetime]) -> Collection[str]:
        """The partition keys whose newest run was made after its moment, and canceled."""

    def started_before(self, seconds: float) -> Collection[str]:
        """The ids of runs that are STARTED or CANCELING and began more than `seconds` ago."""

    def by_id(self, run_ids: Collection[str]) -> Mapping[str, RunState]:
        """The state of the runs of these ids."""
