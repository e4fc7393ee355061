"""Reading the job table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from node_import.database import Connection
from node_import.errors import UsageError
from node_import.jobs.record import JOB_COLUMNS, Job, JobStatus
from node_import.sql import statements


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs: those that meet all that is given. `since` is when they came in."""

    statuses: Sequence[JobStatus] = ()
    domain_id: UUID | None = None
    group_id: UUID | None = None
    failure_code: str | None = None
    since: datetime | None = None
    limit: int = 100


def job_statement(name: str) -> str:
    """A statement of `jobs.sql` in which `:job_columns` stands for what `Job.from_row` needs."""
    return statements("jobs.sql")[name].replace(":job_columns", ", ".join(JOB_COLUMNS))


def get_job(conn: Connection, job_id: UUID | str) -> dict[str, Any]:
    """The whole row under its column names, with the message's bytes.

    Raises:
        UsageError: there is no such job.
    """
    row = conn.execute(statements("jobs.sql")["get_job"], {"job_id": job_id}).fetchone()
    if row is None:
        raise UsageError(f"there is no job {job_id}; `node-import jobs list` shows what there is")
    return row


def list_jobs(conn: Connection, wanted: JobFilter = JobFilter()) -> list[dict[str, Any]]:
    """Whole rows under their column names, newest first."""
    parameters = {
        "statuses": [status.value for status in wanted.statuses] or None,
        "domain_id": wanted.domain_id,
        "group_id": wanted.group_id,
        "failure_code": wanted.failure_code,
        "since": wanted.since,
        "limit": wanted.limit,
    }
    return conn.execute(statements("jobs.sql")["list_jobs"], parameters).fetchall()


def find_job(conn: Connection, job_id: UUID | str) -> Job | None:
    """The job, or None if there is none."""
    row = conn.execute(job_statement("find_job"), {"job_id": job_id}).fetchone()
    return Job.from_row(row) if row is not None else None


def jobs_of_partition(conn: Connection, partition_key: str) -> list[Job]:
    """All jobs of a partition, in order of arrival."""
    parameters = {"partition_key": partition_key}
    rows = conn.execute(job_statement("jobs_of_partition"), parameters)
    return [Job.from_row(row) for row in rows]
