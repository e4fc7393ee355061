"""Dagster's runs, as the job table asks about them (`node_import.jobs.runs.Runs`)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime, timedelta

import dagster as dg

from node_import.jobs.runs import RunState

PARTITION_TAG = "dagster/partition"
RUN_KEY_TAG = "dagster/run_key"
# Dagster writes it on a run that failed: dagster/_core/storage/runs/sql_run_storage.py.
REASON_TAG = "dagster/failure_reason"

_AT_WORK = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)
_CANCELED = (dg.DagsterRunStatus.CANCELING, dg.DagsterRunStatus.CANCELED)
_INTERRUPTED = "UNEXPECTED_TERMINATION"
_STATES = {
    dg.DagsterRunStatus.CANCELING: RunState.CANCELING,
    dg.DagsterRunStatus.CANCELED: RunState.CANCELED,
    dg.DagsterRunStatus.SUCCESS: RunState.OVER,
    dg.DagsterRunStatus.FAILURE: RunState.OVER,
    dg.DagsterRunStatus.MANAGED: RunState.OVER,  # of a store that is gone; Dagster makes none
}
# Whatever is not known to be over: a SUSPENDED run came with a minor version of Dagster.
LIVE_STATUSES = tuple(
    status
    for status in dg.DagsterRunStatus
    if _STATES.get(status, RunState.LIVE) in {RunState.LIVE, RunState.CANCELING}
)


class DagsterRuns:
    """The runs of one job, in one instance."""

    def __init__(self, instance: dg.DagsterInstance, job_name: str) -> None:
        self._instance = instance
        self._job_name = job_name

    def live_partitions(self) -> list[str]:
        """See `Runs.live_partitions`."""
        runs = self._runs(dg.RunsFilter(job_name=self._job_name, statuses=list(LIVE_STATUSES)))
        return [key for run in runs if (key := run.tags.get(PARTITION_TAG)) is not None]

    def by_run_key(self, run_keys: Collection[str]) -> dict[str, RunState]:
        """See `Runs.by_run_key`; of two runs under one key the newest."""
        runs = self._runs(dg.RunsFilter(job_name=self._job_name, tags={RUN_KEY_TAG: [*run_keys]}))
        return {run.tags[RUN_KEY_TAG]: state_of(run) for run in reversed([*runs])}

    def canceled_since(self, moments: Mapping[str, datetime]) -> set[str]:
        """See `Runs.canceled_since`; runs of a backfill have no run key to be asked for by."""
        wanted = dg.RunsFilter(
            job_name=self._job_name,
            tags={PARTITION_TAG: [*moments]},
            created_after=min(moments.values()),
        )
        newest: dict[str, dg.DagsterRun] = {}
        for record in self._instance.get_run_records(wanted, ascending=True):
            key = record.dagster_run.tags[PARTITION_TAG]
            if record.create_timestamp > moments[key]:
                newest[key] = record.dagster_run
        return {key for key, run in newest.items() if state_of(run) is RunState.CANCELED}

    def started_before(self, seconds: float) -> list[str]:
        """See `Runs.started_before`."""
        records = self._instance.get_run_records(
            dg.RunsFilter(job_name=self._job_name, statuses=list(_AT_WORK))
        )
        latest = (datetime.now(UTC) - timedelta(seconds=seconds)).timestamp()
        return [
            record.dagster_run.run_id
            for record in records
            if record.start_time is not None and record.start_time < latest
        ]

    def by_id(self, run_ids: Collection[str]) -> Mapping[str, RunState]:
        """See `Runs.by_id`."""
        return {run.run_id: state_of(run) for run in self._runs(dg.RunsFilter(run_ids=[*run_ids]))}

    def is_live(self, run_id: str) -> bool:
        """Whether a run of that id can still act. A deleted run cannot."""
        run = self._instance.get_run_by_id(run_id)
        return run is not None and run.status in LIVE_STATUSES

    def is_being_canceled(self, run_id: str) -> bool:
        """Whether somebody has asked for the run's end, or marked it as ended."""
        run = self._instance.get_run_by_id(run_id)
        return run is not None and run.status in _CANCELED

    def _runs(self, wanted: dg.RunsFilter) -> Iterable[dg.DagsterRun]:
        return self._instance.get_runs(filters=wanted)


def state_of(run: dg.DagsterRun) -> RunState:
    """Whether the run can still act, and if not, why."""
    if run.status is dg.DagsterRunStatus.FAILURE and run.tags.get(REASON_TAG) == _INTERRUPTED:
        return RunState.INTERRUPTED
    return _STATES.get(run.status, RunState.LIVE)
