"""Reading the job table."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from node_import.database import Connection
from node_import.errors import UsageError
from node_import.jobs.record import JOB_COLUMNS, Job
from node_import.sql import statements


def job_statement(name: str, file_name: str = "jobs.sql") -> str:
    """A statement in which `:job_columns` stands for what `Job.from_row` needs."""
    return statements(file_name)[name].replace(":job_columns", ", ".join(JOB_COLUMNS))


def get_job(conn: Connection, job_id: UUID | str) -> dict[str, Any]:
    """The whole row under its column names, with the message's bytes.

    Raises:
        UsageError: there is no such job.
    """
    row = conn.execute(statements("jobs.sql")["get_job"], {"job_id": job_id}).fetchone()
    if row is None:
        raise UsageError(f"there is no job {job_id}; `node-import jobs list` shows what there is")
    return row


def jobs_of_partition(conn: Connection, partition_key: str) -> list[Job]:
    """All jobs of a partition, in order of arrival."""
    parameters = {"partition_key": partition_key}
    rows = conn.execute(job_statement("jobs_of_partition"), parameters)
    return [Job.from_row(row) for row in rows]
