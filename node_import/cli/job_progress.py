"""One job's way, drawn on standard error while somebody waits for its answer."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING
from uuid import UUID

from node_import.cli.deployment import as_operator
from node_import.cli.output import progress
from node_import.errors import TransientError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from node_import.database import Database

LOOK_SECONDS = 0.5


class JobProgress:
    """Reads the job table now and then; does nothing where standard error is no terminal."""

    def __init__(self, database: Database, job_id: UUID) -> None:
        self._database = database
        self._job_id = job_id
        self._looked_at = 0.0
        self._stack = ExitStack()
        self._bars: Progress | None = None
        self._bar: TaskID | None = None

    def __enter__(self) -> JobProgress:
        if sys.stderr.isatty():
            self._bars = self._stack.enter_context(progress())
            self._bar = self._bars.add_task("waiting to be read", total=None, detail="")
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def look(self) -> None:
        """Draw where the job stands, not more often than the eye can follow."""
        if self._bars is None or self._bar is None:
            return
        if time.monotonic() - self._looked_at < LOOK_SECONDS:
            return
        self._looked_at = time.monotonic()
        status, detail = self._read()
        self._bars.update(self._bar, description=status, detail=detail)

    def _read(self) -> tuple[str, str]:
        from node_import.jobs import listing
        from node_import.jobs.ledger import last_ledger_totals

        try:
            with as_operator(self._database) as conn:
                row = listing.show_job(conn, self._job_id)
                loaded = last_ledger_totals(conn, self._job_id).processed
        except TransientError as error:
            return "no look at the job table", str(error.code)
        if row is None:
            return "waiting to be read", ""
        return row["status"], f"{loaded:,} nodes loaded" if loaded else ""
