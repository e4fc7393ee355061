"""Looking at the job table until something has happened."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING
from uuid import UUID

from node_import.cli.deployment import as_operator
from node_import.cli.output import note, print_text, printable, table

if TYPE_CHECKING:
    from node_import.database import Database
    from node_import.jobs.listing import JobRow

LOOK_SECONDS = 0.5
ENDED = frozenset({"COMPLETED", "FAILED"})
NEWEST = 20


def watch_job(database: Database, job_id: UUID, *, quiet: bool = False) -> JobRow:
    """Show one job's way on standard output, or standard error if `quiet`, until it has ended.

    Returns its last row.
    """
    say = note if quiet else print_text
    said = ""
    while True:
        row, loaded = _look(database, job_id)
        line = describe(row, loaded)
        if line != said:
            say(line)
            said = line
        if row["status"] in ENDED:
            return row
        time.sleep(LOOK_SECONDS)


def watch_newest(database: Database) -> None:
    """Show the newest jobs until Ctrl-C: a live table on a terminal, else a line a change."""
    try:
        if sys.stdout.isatty():
            _live_table(database)
        else:
            _lines(database)
    except KeyboardInterrupt:
        return


def describe(row: JobRow, loaded: int) -> str:
    """One line on where a job stands."""
    match row["status"]:
        case "COMPLETED":
            return f"{row['id']} COMPLETED {row['processed_nodes']:,} of {row['total_nodes']:,}"
        case "FAILED":
            numbers = f"{row['processed_nodes']:,} of {row['total_nodes']:,}"
            reason = printable(str(row["failure_reason"]))
            return f"{row['id']} FAILED {row['failure_code']} {numbers}: {reason}"
        case "RUNNING":
            return f"{row['id']} RUNNING attempt {row['attempt']}, {loaded:,} nodes loaded"
        case status:
            return f"{row['id']} {status}"


def _look(database: Database, job_id: UUID) -> tuple[JobRow, int]:
    from node_import.jobs import listing
    from node_import.jobs.ledger import last_ledger_totals

    with as_operator(database) as conn:
        row = listing.show_job(conn, job_id)
        loaded = last_ledger_totals(conn, job_id).processed
    assert row is not None  # noqa: S101 - jobs are not deleted while somebody watches
    return row, loaded


def _live_table(database: Database) -> None:
    from rich.live import Live

    from node_import.cli.jobs import LIST_COLUMNS, list_line

    with Live(auto_refresh=False) as live:
        while True:
            rows = map(list_line, _newest(database))
            live.update(table(LIST_COLUMNS, rows, gives_way="SOURCE"), refresh=True)
            time.sleep(2 * LOOK_SECONDS)


def _lines(database: Database) -> None:
    said: dict[UUID, str] = {}
    while True:
        for row in reversed(_newest(database)):
            if said.get(row["id"]) != row["status"]:
                said[row["id"]] = row["status"]
                print_text(describe(row, 0))
        sys.stdout.flush()
        time.sleep(LOOK_SECONDS)


def _newest(database: Database) -> list[JobRow]:
    from node_import.jobs import listing

    with as_operator(database) as conn:
        return listing.list_jobs(conn, listing.JobFilter(limit=NEWEST))
