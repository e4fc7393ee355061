"""Reopens FAILED jobs and has Dagster run their partitions again, as one backfill."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from node_import.database import Connection
from node_import.jobs.reopening import PastJob, hand_over, lock_jobs

FORCE = "; --force imports it all the same"


class Launcher(Protocol):
    """Dagster, as a backfill needs it."""

    def launch_backfill(self, partition_keys: Sequence[str]) -> str:
        """Have every partition run once; the id of the backfill. Adds keys that are missing."""


@dataclass(slots=True)
class Backfill:
    """What was launched: jobs and partitions in order of arrival; `refused` is (job, reason)."""

    backfill_id: str | None = None
    jobs: list[UUID] = field(default_factory=list)
    partitions: list[str] = field(default_factory=list)
    refused: list[tuple[UUID, str]] = field(default_factory=list)

    def as_document(self) -> dict[str, object]:
        """`{"backfillId", "jobs", "partitions"}` of the contract."""
        return {
            "backfillId": self.backfill_id,
            "jobs": [str(job) for job in self.jobs],
            "partitions": self.partitions,
        }


def plan_backfill(jobs: Collection[PastJob], *, force: bool) -> Backfill:
    """What a backfill of these jobs would launch; changes nothing.

    A job that never went to Dagster has no partition yet, and none in the plan.
    """
    plan = Backfill()
    for job in jobs:
        refusal = _refusal(job, force=force)
        if refusal is not None:
            plan.refused.append((job.id, refusal))
            continue
        plan.jobs.append(job.id)
        _add_partition(plan, job.partition_key)
    return plan


def launch_backfill(
    conn: Connection, jobs: Mapping[UUID, PastJob], launcher: Launcher, *, force: bool
) -> Backfill:
    """Reopen the jobs and launch their partitions, inside the caller's operator transaction.

    The launch is the last act before the commit: if Dagster refuses, no job was touched. If the
    commit fails after it, the runs find FAILED jobs and take them all the same, as for a
    re-execution from the UI.

    Raises:
        TransientError, UsageError: from `launcher`.
    """
    lock_jobs(conn, jobs.keys())
    result = Backfill()
    for job in jobs.values():
        refusal = _refusal(job, force=force)
        key = hand_over(conn, job) if refusal is None else None
        if key is None:
            result.refused.append((job.id, refusal or "is not FAILED any more"))
            continue
        result.jobs.append(job.id)
        _add_partition(result, key)
    if result.partitions:
        result.backfill_id = launcher.launch_backfill(result.partitions)
    return result


def _refusal(job: PastJob, *, force: bool) -> str | None:
    if job.at_work or force or not job.outdated:
        return job.at_work
    return job.outdated + FORCE


def _add_partition(backfill: Backfill, key: str | None) -> None:
    """Several lists of references may be one partition, which runs once."""
    if key is not None and key not in backfill.partitions:
        backfill.partitions.append(key)
