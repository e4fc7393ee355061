"""An old file must not overwrite a new one: what has been imported since."""

from __future__ import annotations

from uuid import UUID

from node_import.database import Connection
from node_import.sql import statements


def superseding_statement(name: str) -> str:
    """A statement of `reopening.sql` in which `:superseding` stands for the rule, of `job`."""
    queries = statements("reopening.sql")
    return queries[name].replace(":superseding", queries["superseding"])


def superseding_job(conn: Connection, job_id: UUID) -> UUID | None:
    """The newest COMPLETED file import of the job's group, if it arrived after that job.

    None for a reference list, and for a job that does not exist. Newer means later in the order
    of arrival, which is offset order within a Kafka partition.
    """
    parameters = {"job_ids": [job_id]}
    row = conn.execute(superseding_statement("find_jobs"), parameters).fetchone()
    return row["superseded_by"] if row is not None else None
