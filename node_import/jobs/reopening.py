"""Jobs that somebody wants to run again, and whether they may.

FAILED jobs may; but an old file must not overwrite a new one, unless somebody insists.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from node_import.contracts.error_codes import ErrorCode
from node_import.database import Connection
from node_import.jobs.inbox import reopen
from node_import.jobs.record import JobStatus
from node_import.jobs.superseding import superseding_statement
from node_import.sql import statements

_AT_WORK = {
    JobStatus.COMPLETED: "is COMPLETED already",
    JobStatus.PENDING: "waits for its run already",
    JobStatus.RUNNING: "is being imported",
}


@dataclass(frozen=True, slots=True)
class PastJob:
    """A job as a replay or a backfill looks at it.

    `superseded_by` is the newest COMPLETED file import of its group, if that arrived later.
    """

    id: UUID
    domain_id: UUID
    status: JobStatus
    partition_key: str | None = None
    superseded_by: UUID | None = None

    @property
    def at_work(self) -> str | None:
        """Why it cannot be opened again, whoever insists; goes on from "the job …"."""
        return _AT_WORK.get(self.status)

    @property
    def outdated(self) -> str | None:
        """Why it should not be imported again; goes on from "the job …"."""
        return outdated_by(self.superseded_by) if self.superseded_by else None


@dataclass(frozen=True, slots=True)
class FailedJobFilter:
    """Which FAILED jobs; None leaves a condition out. `since` is about `finished_at`."""

    domain_id: UUID | None = None
    since: datetime | None = None
    codes: Collection[ErrorCode] | None = None


def outdated_by(newer: UUID) -> str:
    """The reason in words; goes on from what is outdated."""
    return f"is older than job {newer}, the newest completed file import of its group"


def find_jobs(conn: Connection, job_ids: Collection[UUID]) -> dict[UUID, PastJob]:
    """Those of the jobs that exist, in order of arrival."""
    if not job_ids:
        return {}
    rows = conn.execute(superseding_statement("find_jobs"), {"job_ids": list(job_ids)})
    return {row["id"]: _past_job(row) for row in rows}


def failed_jobs(conn: Connection, wanted: FailedJobFilter) -> dict[UUID, PastJob]:
    """The FAILED jobs that match, in order of arrival."""
    parameters = {
        "domain_id": wanted.domain_id,
        "since": wanted.since,
        "codes": None if wanted.codes is None else list(wanted.codes),
    }
    rows = conn.execute(superseding_statement("failed_jobs"), parameters)
    return {row["id"]: _past_job(row) for row in rows}


def lock_jobs(conn: Connection, job_ids: Collection[UUID]) -> None:
    """Nobody else claims or reopens these jobs until the transaction ends."""
    conn.execute(statements("reopening.sql")["lock_jobs"], {"job_ids": list(job_ids)})


def hand_over(conn: Connection, job: PastJob) -> str | None:
    """Reopen a job whose partition the caller launches; its partition key, None if not FAILED.

    A job that was closed before it ever went to Dagster gets a partition of its own.
    """
    key = job.partition_key
    if key is None:
        key = uuid.uuid4().hex
        parameters = {"job_id": job.id, "partition_key": key}
        conn.execute(statements("reopening.sql")["give_partition"], parameters)
    return key if reopen(conn, job.id, job.domain_id, handed_over=True) else None


def _past_job(row: Mapping[str, Any]) -> PastJob:
    return PastJob(
        id=row["id"],
        domain_id=row["domain_id"],
        status=JobStatus(row["status"]),
        partition_key=row["partition_key"],
        superseded_by=row["superseded_by"],
    )
