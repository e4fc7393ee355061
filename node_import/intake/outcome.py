"""Writes what one tick decided: new jobs, reopened jobs, positions. All of it or nothing."""

from __future__ import annotations

from collections.abc import Sequence

from node_import.contracts.rejection import Rejection
from node_import.database import Connection
from node_import.intake.decoding import Reopening, Verdict
from node_import.intake.positions import Move, advance_positions
from node_import.intake.report import IntakeReport
from node_import.jobs.inbox import add_jobs, reopen
from node_import.jobs.record import NewJob


def write_outcome(
    conn: Connection,
    cluster_id: str,
    verdicts: Sequence[tuple[str, Verdict]],
    moves: Sequence[Move],
    report: IntakeReport,
) -> None:
    """Inside the caller's operator transaction. `verdicts` are (topic, verdict), as read.

    Raises:
        PositionsMoved: another tick was quicker; the caller rolls back.
    """
    # First, and so that a tick that lost writes nothing that would be rolled back.
    advance_positions(conn, cluster_id, moves)
    jobs = [(topic, verdict) for topic, verdict in verdicts if isinstance(verdict, NewJob)]
    added = add_jobs(conn, [job for _, job in jobs]) if jobs else set()
    for topic, job in jobs:
        # A message and its replay in one tick have one id: the first of them counts.
        if job.id in added:
            added.discard(job.id)
            report.of(topic).accepted += 1
        else:
            report.of(topic).duplicates += 1
    for topic, verdict in verdicts:
        if isinstance(verdict, Rejection):
            report.of(topic).rejected[verdict.code] += 1
        elif isinstance(verdict, Reopening):
            if reopen(conn, verdict.job_id, verdict.domain_id):
                report.of(topic).reopened += 1
            else:
                report.of(topic).duplicates += 1
