"""What a run has open in PostgreSQL: its slices carry its name, so that they can be ended.

A worker that stands still in the middle of a slice, or whose machine is cut off, keeps the locks of
its transaction. The next run of the job would wait for them, longer than a slice may take.
"""

from __future__ import annotations

import logging
from collections.abc import Collection

from node_import.database import Database
from node_import.sql import statements

log = logging.getLogger(__name__)


def session_name(run_id: str) -> str:
    """The `application_name` of a run's slices in `pg_stat_activity`; PostgreSQL keeps 63 bytes."""
    return f"node-import run {run_id}"


def end_sessions(database: Database, run_ids: Collection[str]) -> None:
    """Roll back the slices that these runs have under way: they count as dead.

    Raises:
        TransientError: the database is away.
    """
    if not run_ids:
        return
    names = [session_name(run_id) for run_id in run_ids]
    with database.session() as conn, database.limited(conn):
        query = statements("recovery.sql")["end_sessions"]
        row = conn.execute(query, {"session_names": names}).fetchone()
    if row and row["ended"]:
        log.warning("%d slices of dead runs were rolled back: %s", row["ended"], ", ".join(names))
