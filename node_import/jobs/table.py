"""Reading the job table."""

from __future__ import annotations

from uuid import UUID

from node_import.database import Connection
from node_import.jobs.record import JOB_COLUMNS, Job
from node_import.sql import statements


def job_statement(name: str, file_name: str = "jobs.sql") -> str:
    """A statement in which `:job_columns` stands for what `Job.from_row` needs."""
    return statements(file_name)[name].replace(":job_columns", ", ".join(JOB_COLUMNS))


def jobs_of_partition(conn: Connection, partition_key: str) -> list[Job]:
    """All jobs of a partition, in order of arrival."""
    parameters = {"partition_key": partition_key}
    rows = conn.execute(job_statement("jobs_of_partition"), parameters)
    return [Job.from_row(row) for row in rows]


def running_jobs(conn: Connection) -> set[UUID]:
    """The ids of all RUNNING jobs."""
    return {row["id"] for row in conn.execute(statements("jobs.sql")["running_jobs"])}
