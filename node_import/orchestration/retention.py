"""Removes what Dagster keeps of imports that ended long ago; the job table keeps the record.

Dagster prunes ticks by itself (`retention` in dagster.yaml). Runs with their events, logs and
outputs, and the keys of dynamic partitions would grow for ever: Dagster loads all keys at once and
advises 100,000 at most.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from node_import.database import Database
from node_import.jobs.listing import ended_partitions
from node_import.orchestration.job import JOB_NAME
from node_import.orchestration.partitions import PARTITIONS_NAME

MAX_PARTITIONS = 50_000

_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_RUNS_AT_ONCE = 50

RemoveOutputs = Callable[[str], None]
"""Removes what the steps of the run of that id have returned, where it is not on this machine."""


@dataclass(slots=True)
class Pruned:
    """How much was removed, and whether that was all."""

    runs: int = 0
    partitions: int = 0
    complete: bool = False


def prune(
    instance: dg.DagsterInstance,
    database: Database,
    *,
    days: int,
    deadline: float,
    remove_outputs: RemoveOutputs | None = None,
) -> Pruned:
    """Remove runs that were made, and partitions whose imports ended, more than `days` ago.

    Of more than `MAX_PARTITIONS` partitions those that ended first go sooner. Stops at `deadline`
    (of `time.monotonic`), and goes on where it is called again. A pruned partition can be
    imported again: `node-import backfill` adds its key anew.

    Raises:
        TransientError: from `remove_outputs`, or the database is away.
    """
    before = datetime.now(UTC) - timedelta(days=days)
    pruned = Pruned()
    for run_id in _ended_runs(instance, before):
        if time.monotonic() > deadline:
            return pruned
        _remove_run(instance, run_id, remove_outputs)
        pruned.runs += 1
    keys = instance.get_dynamic_partitions(PARTITIONS_NAME)
    surplus = len(keys) - MAX_PARTITIONS
    for key in ended_partitions(database, keys, before=before, surplus=surplus):
        if time.monotonic() > deadline:
            return pruned
        instance.delete_dynamic_partition(PARTITIONS_NAME, key)
        pruned.partitions += 1
    pruned.complete = True
    return pruned


def _ended_runs(instance: dg.DagsterInstance, before: datetime) -> Iterable[str]:
    """Oldest first. Those that were given out must be gone before the next are asked for."""
    wanted = dg.RunsFilter(job_name=JOB_NAME, statuses=_ENDED, created_before=before)
    while records := instance.get_run_records(wanted, limit=_RUNS_AT_ONCE, ascending=True):
        yield from (record.dagster_run.run_id for record in records)


def _remove_run(
    instance: dg.DagsterInstance, run_id: str, remove_outputs: RemoveOutputs | None
) -> None:
    """The run itself last: while it is there, the next call comes back to it."""
    if remove_outputs is not None:
        remove_outputs(run_id)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    outputs = Path(instance.storage_directory()) / run_id
    if outputs.exists():
        shutil.rmtree(outputs)
    instance.delete_run(run_id)
