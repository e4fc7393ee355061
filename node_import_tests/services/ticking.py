"""A program of tests: intake and dispatch in turn until SIGTERM, a line of JSON for each round.

Its runs are never begun: what was handed over once must stay handed over.
"""

from __future__ import annotations

import json
import signal
import sys
from types import FrameType

from node_import.database import Database
from node_import.intake.tick import intake_tick
from node_import.jobs.dispatch import dispatch
from node_import.objects.store import ObjectStore
from node_import.settings import load_settings
from node_import_tests.support.runs import FakeRuns


class Stopping:
    """Becomes true when the process is told to end; the tick in hand is finished."""

    def __init__(self) -> None:
        self.wanted = False
        signal.signal(signal.SIGTERM, self._want)

    def _want(self, number: int, frame: FrameType | None) -> None:
        self.wanted = True


def main() -> None:
    """Tick and dispatch."""
    stopping = Stopping()
    settings = load_settings()
    store, database = ObjectStore.from_settings(settings), Database.from_settings(settings)
    while not stopping.wanted:
        report = intake_tick(database, settings, store=store)
        dispatched = dispatch(database, settings, FakeRuns())
        line = {
            "ticks": 1,
            "skipped": int(report.skipped),
            "accepted": report.accepted,
            "rejected": report.rejected,
            "duplicates": report.duplicates,
            "runs": len(dispatched),
            "dispatched": [str(job) for run in dispatched for job in run.job_ids],
        }
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
