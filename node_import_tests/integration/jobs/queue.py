"""The job table as a queue, with ticks made by hand and runs that only have a state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from node_import.contracts.error_codes import ErrorCode
from node_import.database import Database
from node_import.jobs.claiming import claim_partition
from node_import.jobs.closing import close
from node_import.jobs.dispatch import Dispatch, dispatch
from node_import.jobs.outcome import JobOutcome
from node_import.settings import Settings
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.runs import FakeRuns


class Queue:
    """A sensor that ticks when it is told to."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.settings = settings
        self.runs = FakeRuns()
        self.files_can_be_read = True
        self.asked = 0

    def tick(self, *, submit: bool = True, **settings: Any) -> list[Dispatch]:
        """One tick; unless it dies, what it yields becomes runs."""
        changed = self.settings.model_copy(update=settings)
        dispatches = dispatch(
            self.database, changed, self.runs, files_can_be_read=self._files_can_be_read
        )
        if submit:
            self.runs.submit(*dispatches)
        return dispatches

    def _files_can_be_read(self) -> bool:
        self.asked += 1
        return self.files_can_be_read

    def run(self, made: Dispatch, failure: tuple[ErrorCode, str] | None = None) -> None:
        """The run does its work from claim to end."""
        claimed = claim_partition(
            self.database, made.partition_key, made.run_key, run_is_live=lambda _: True
        )
        with self.database.connect() as conn:
            for _, claim in claimed.claimed:
                close(conn, claim, JobOutcome(failure=failure))
        self.runs.end(made.run_key)


def jobs_of(dispatches: Sequence[Dispatch]) -> list[list[UUID]]:
    """The jobs of each run."""
    return [list(made.job_ids) for made in dispatches]


def rest_is_over(database: TestDatabase) -> None:
    """The backoff of every job has passed."""
    with database.connect() as conn:
        conn.execute("UPDATE nodes_import_job SET not_before = now()")


def long_ago(database: TestDatabase) -> None:
    """The grace time of every dispatch has passed."""
    with database.connect() as conn:
        conn.execute("UPDATE nodes_import_job SET dispatched_at = now() - interval '1 hour'")
