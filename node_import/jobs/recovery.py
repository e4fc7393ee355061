"""Recovery: jobs whose run is gone go back into the queue, or are closed.

Dagster alone is not to be trusted with it: when a code server and its run die together the run
stays STARTED for ever and keeps its slot. So a run that does not beat is reported as dead, and
whoever calls this must tell Dagster; until then the partition counts as live.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from node_import.database import Connection, Database
from node_import.jobs.death import after_run
from node_import.jobs.record import Job
from node_import.jobs.run_sessions import end_sessions
from node_import.jobs.runs import Runs, RunState
from node_import.jobs.table import job_statement
from node_import.settings import RunSettings
from node_import.sql import statements

# A run that Dagster does not know (deleted while it ran) is gone when it misses so many beats.
UNKNOWN_RUN_BEATS = 3


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was done, and which runs Dagster must be told are dead."""

    put_back: tuple[UUID, ...] = ()
    closed: tuple[UUID, ...] = ()
    dead_runs: frozenset[str] = frozenset()


def recover(database: Database, settings: RunSettings, runs: Runs) -> Recovery:
    """Look after every RUNNING job whose run is over, canceled, unknown or silent.

    Each job is a transaction of its own. Two at once are safe, and a run that was thought dead
    and is not loses its claims: its slices and its close change nothing any more.

    Raises:
        TransientError: the database is away; what was done stays done.
    """
    started = runs.started_before(settings.heartbeat_expiry)
    with database.operator() as conn:
        silent = _silent(conn, started, settings.heartbeat_expiry)
        parameters = {
            "expiry": settings.heartbeat_expiry,
            "unknown_after": UNKNOWN_RUN_BEATS * settings.heartbeat_seconds,
        }
        holders = conn.execute(statements("recovery.sql")["holders"], parameters).fetchall()
    states = runs.by_id([row["run_id"] for row in holders]) if holders else {}
    gone = {row["run_id"]: states.get(row["run_id"]) for row in holders if _is_gone(row, states)}
    end_sessions(database, gone)
    put_back: list[UUID] = []
    closed: list[UUID] = []
    for run_id, state in gone.items():
        for job_id, came_back in _release(database, run_id, state, settings.max_attempts):
            (put_back if came_back else closed).append(job_id)
    still_live = {run_id for run_id, state in gone.items() if state and state.can_act}
    with database.operator() as conn:
        conn.execute(statements("recovery.sql")["forget_heartbeats"])
    return Recovery(tuple(put_back), tuple(closed), frozenset(still_live | silent))


def _silent(conn: Connection, run_ids: Collection[str], expiry: float) -> set[str]:
    """Those of the runs that have not beaten for too long, or never did."""
    parameters = {"run_ids": list(run_ids), "expiry": expiry}
    rows = conn.execute(statements("recovery.sql")["silent_runs"], parameters)
    return {row["run_id"] for row in rows}


def _is_gone(row: Mapping[str, Any], states: Mapping[str, RunState]) -> bool:
    state = states.get(row["run_id"])
    if state and state.can_act:
        return bool(row["expired"])
    return state is not None or bool(row["unknown_expired"])


def _release(
    database: Database, run_id: str, state: RunState | None, max_attempts: int
) -> list[tuple[UUID, bool]]:
    """Take the run's jobs from it: (job, whether it was put back) each."""
    with database.operator() as conn:
        rows = conn.execute(statements("recovery.sql")["jobs_of_run"], {"run_id": run_id})
        job_ids = [row["id"] for row in rows]
    released = []
    for job_id in job_ids:
        with database.operator() as conn:
            statement = job_statement("lock_job_of_run", "recovery.sql")
            row = conn.execute(statement, {"job_id": job_id, "run_id": run_id}).fetchone()
            if row is not None:
                came_back = after_run(conn, Job.from_row(row), state, max_attempts)
                released.append((job_id, came_back))
    return released
