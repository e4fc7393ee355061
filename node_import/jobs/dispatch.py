"""Dispatch: the job table is the queue, and Dagster gets only what can soon run.

A job that is handed over has `dispatched_at` set until a run claims it. So a tick that dies
between its commit and the submission of its runs heals itself: nobody knows such a run, and
after a grace time the job goes again, under a run key that was never used.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from node_import.database import Connection, Database
from node_import.jobs.death import after_run
from node_import.jobs.queue import Limits, PlannedRun, Turn, Waiting, plan_runs
from node_import.jobs.record import Job, JobKind
from node_import.jobs.run_tags import run_tags
from node_import.jobs.runs import Runs, RunState
from node_import.jobs.table import job_statement
from node_import.settings import RunSettings
from node_import.sql import statements

# From a tick's commit to the run's row in Dagster: the rest of the tick, which may take Dagster's
# 60 s, and the daemon's submission.
GRACE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Dispatch:
    """A run to request. `tags` are names that people look for: domain, group, topic, kind, job."""

    partition_key: str
    run_key: str
    job_ids: tuple[UUID, ...]
    tags: Mapping[str, str] = field(default_factory=dict)


def dispatch(
    database: Database,
    settings: RunSettings,
    runs: Runs,
    *,
    files_can_be_read: Callable[[], bool] = lambda: True,
) -> list[Dispatch]:
    """Choose the next runs and mark their jobs as handed over; at most what there is room for.

    First it looks after jobs whose run died before it claimed them: they are put back or closed.
    Two at once are safe; one of them returns nothing. `files_can_be_read` is asked only when the
    last file import failed because the object store was away: an outage must not make dead
    letters of all that waits, so files stay in the queue until it is over.

    Raises:
        TransientError: the database is away; nothing was marked.
    """
    live = list(runs.live_partitions())
    with database.operator() as conn:
        query = statements("dispatch.sql")["handed_over"]
        handed_over = conn.execute(query, {"live": live}).fetchall()
        doubt = conn.execute(statements("dispatch.sql")["may_be_an_outage"]).fetchone()
    states = _states(runs, handed_over) if handed_over else {}
    with_files = not (doubt and doubt["suspected"]) or files_can_be_read()
    with database.operator() as conn:
        if not _is_mine(conn):
            return []
        coming = _look_after_handed_over(conn, live, states, settings.max_attempts)
        free = settings.max_concurrent_runs - len(live) - len(coming)
        limits = Limits(free, settings.group_max_jobs, settings.group_max_references)
        planned = _plan(conn, {*live, *coming}, limits, with_files) if free > 0 else []
        return [made for run in planned if (made := _hand_over(conn, run))]


def _states(runs: Runs, handed_over: Sequence[Mapping[str, Any]]) -> Mapping[str, RunState]:
    """The states of the runs that were asked for, by run key, where Dagster knows them.

    A run of a backfill has none, and is looked for by its partition.
    """
    states = dict(runs.by_run_key([row["run_key"] for row in handed_over]))
    run_keys = {row["partition_key"]: row["run_key"] for row in handed_over}
    moments = {
        row["partition_key"]: row["dispatched_at"]
        for row in handed_over
        if row["run_key"] not in states
    }
    if moments:
        canceled = runs.canceled_since(moments)
        states.update((run_keys[key], RunState.CANCELED) for key in canceled)
    return states


def _is_mine(conn: Connection) -> bool:
    row = conn.execute(statements("dispatch.sql")["begin_dispatch"]).fetchone()
    return row is not None and bool(row["mine"])


def _look_after_handed_over(
    conn: Connection, live: Sequence[str], states: Mapping[str, RunState], max_attempts: int
) -> set[str]:
    """The partitions whose run is on its way; the others' jobs are put back or closed."""
    parameters = {"live": list(live), "grace": GRACE_SECONDS}
    rows = conn.execute(job_statement("lock_handed_over", "dispatch.sql"), parameters).fetchall()
    coming, never_submitted = set(), []
    for row in rows:
        job = Job.from_row(row)
        state = states.get(f"{job.partition_key}:{job.dispatch_no}")
        if state.can_act if state else not row["overdue"]:
            coming.add(row["partition_key"])
        elif state is None:
            never_submitted.append(job.id)
        else:
            after_run(conn, job, state, max_attempts)
    conn.execute(statements("dispatch.sql")["forget_dispatch"], {"job_ids": never_submitted})
    return coming


def _plan(
    conn: Connection, in_flight: Collection[str], limits: Limits, with_files: bool
) -> list[PlannedRun]:
    """The next runs, of what is due and need not wait for a run in flight.

    A partition with a RUNNING job whose run is gone waits until recovery has put that back.
    """
    queries = statements("dispatch.sql")
    running = conn.execute(queries["running_partitions"])
    busy = [*{*in_flight, *(row["partition_key"] for row in running)}]
    most = limits.group_max_jobs * limits.free_runs
    rows = conn.execute(queries["due_files"], {"busy": busy}).fetchall() if with_files else []
    rows += conn.execute(queries["due_references"], {"busy": busy, "most": most}).fetchall()
    waiting = [_waiting(row) for row in rows]
    parameters = {"busy": busy, "domain_ids": [*{job.domain_id for job in waiting}]}
    turns = {row["domain_id"]: _turn(row) for row in conn.execute(queries["turns"], parameters)}
    return plan_runs(waiting, turns, limits)


def _waiting(row: Mapping[str, Any]) -> Waiting:
    return Waiting(
        job_id=row["id"],
        domain_id=row["domain_id"],
        group_id=row["group_id"],
        kind=JobKind(row["kind"]),
        sequence_no=row["sequence_no"],
        reference_count=row["reference_count"],
        partition_key=row["partition_key"],
    )


def _turn(row: Mapping[str, Any]) -> Turn:
    served = row["served"]
    return Turn(row["runs"]) if served is None else Turn(row["runs"], served)


def _hand_over(conn: Connection, run: PlannedRun) -> Dispatch | None:
    """Mark the run's jobs; None if all of them were claimed this moment."""
    queries = statements("dispatch.sql")
    key = run.partition_key or uuid.uuid4().hex
    parameters = {"job_ids": [job.job_id for job in run.jobs], "partition_key": key}
    rows = conn.execute(queries["dispatch_partition"], parameters).fetchall()
    if not rows:
        return None
    conn.execute(queries["serve"], {"domain_id": run.domain_id})
    return Dispatch(
        partition_key=key,
        run_key=f"{key}:{rows[0]['dispatch_no']}",
        job_ids=tuple(row["job_id"] for row in rows),
        tags=run_tags(rows),
    )
