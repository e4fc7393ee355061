"""A run that has to end gives its jobs back; the next one goes on where the ledger says."""

from __future__ import annotations

from uuid import UUID

from node_import.database import Database
from node_import.sql import statements


def release(database: Database, run_id: str) -> list[UUID]:
    """Put the RUNNING jobs of the run back into the queue, due at once; which they were.

    It does not count as a run that died: a deployment, or an eviction, is no fault of the import.
    The run can change nothing of them any more: it waits for a slice that is being committed, and
    later ones find the claim gone.

    Raises:
        TransientError: the database is away; recovery will put them back.
    """
    with database.operator() as conn:
        rows = conn.execute(statements("jobs.sql")["release_jobs"], {"run_id": run_id})
        return [row["id"] for row in rows]
