"""An old file must not overwrite a new one: what has been imported since."""

from __future__ import annotations

from uuid import UUID

from node_import.database import Connection
from node_import.sql import statements


def superseding_job(conn: Connection, job_id: UUID) -> UUID | None:
    """The newest COMPLETED file import of the job's group, if it arrived after that job.

    None for a reference list, and for a job that does not exist. Newer means later in the order
    of arrival, which is offset order within a Kafka partition.
    """
    statement = statements("jobs.sql")["superseding_job"]
    row = conn.execute(statement, {"job_id": job_id}).fetchone()
    return row["id"] if row is not None else None
