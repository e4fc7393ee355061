"""The job table as operators read it: whole rows, under their column names."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from uuid import UUID

from node_import.database import Connection, Database
from node_import.jobs.record import JobStatus
from node_import.sql import statements

JobRow: TypeAlias = dict[str, Any]
"""A row of `nodes_import_job` as psycopg gives it: UUIDs, datetimes, bytes."""


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to list; None leaves a condition out. `since` is about `created_at`."""

    status: JobStatus | None = None
    domain_id: UUID | None = None
    since: datetime | None = None
    limit: int = 20


def list_jobs(conn: Connection, wanted: JobFilter) -> list[JobRow]:
    """The jobs that match, newest first."""
    parameters = {
        "status": wanted.status,
        "domain_id": wanted.domain_id,
        "since": wanted.since,
        "limit": wanted.limit,
    }
    return conn.execute(statements("listing.sql")["list_jobs"], parameters).fetchall()


def show_job(conn: Connection, job_id: UUID) -> JobRow | None:
    """One job, or None."""
    return conn.execute(statements("listing.sql")["show_job"], {"job_id": job_id}).fetchone()


def jobs_closed_by(conn: Connection, partition_key: str, run_id: str) -> list[JobRow]:
    """The jobs of a partition that this run closed, or somebody in its name; without bytes."""
    parameters = {"partition_key": partition_key, "run_id": run_id}
    return conn.execute(statements("listing.sql")["jobs_closed_by"], parameters).fetchall()


def ended_partitions(
    database: Database, partition_keys: Collection[str], *, before: datetime, surplus: int
) -> list[str]:
    """Partitions whose jobs all ended before that moment, and the `surplus` that ended first."""
    parameters = {"partition_keys": list(partition_keys), "before": before, "surplus": surplus}
    with database.operator() as conn:
        rows = conn.execute(statements("listing.sql")["ended_partitions"], parameters)
        return [row["partition_key"] for row in rows]
