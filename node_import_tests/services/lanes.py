"""Several suites at a time, each a process of its own; what it prints is shown at its end.

Much of a suite is waiting: for a tick of Dagster's daemon, for a lock, for a time that must pass.
Three of them share two cores well.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

LANES = 3
# For a suite's own goodbye: pytest's, then its services'.
GRACE_SECONDS = 120.0
# Of a failed suite: pytest's summary, and most of what the last failure was.
END_LINES = 60


def run_side_by_side(
    commands: Sequence[tuple[str, Sequence[str]]], lanes: int = LANES
) -> list[int]:
    """The exit codes of named commands, `lanes` of them at a time, begun in this order.

    What one prints is shown when it has ended, and the end of what a failed one printed once more
    at the very end, where a reader of a long log looks. Interrupted, it ends those that run and
    waits.
    """
    waiting = [*commands][::-1]
    running: list[_Lane] = []
    codes: list[int] = []
    failed: list[_Lane] = []
    with tempfile.TemporaryDirectory(prefix="node-import-lanes-") as folder:
        try:
            while waiting or running:
                while waiting and len(running) < lanes:
                    name, command = waiting.pop()
                    running.append(_Lane(name, command, Path(folder) / name))
                time.sleep(0.2)
                for lane in [lane for lane in running if lane.has_ended()]:
                    running.remove(lane)
                    codes.append(lane.show())
                    if codes[-1]:
                        failed.append(lane)
        finally:
            for lane in running:
                lane.process.terminate()
            for lane in running:
                lane.process.wait(GRACE_SECONDS)
                lane.show()
        for lane in failed:
            lane.show_end()
    return codes


class _Lane:
    """One command that runs, and a file for what it prints."""

    def __init__(self, name: str, command: Sequence[str], log: Path) -> None:
        self._name = name
        self._log = log
        self._began = time.monotonic()
        _say(f"{name}: begun")
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    def show(self) -> int:
        """Print what it has said; its exit code."""
        code = self.process.wait()
        _say(self._printed())
        _say(f"{self._name}: ended with {code} after {time.monotonic() - self._began:.0f} s\n")
        return code

    def show_end(self) -> None:
        """Print the last lines of what it has said once more."""
        _say(f"{self._name} failed. The end of what it said:\n")
        _say("\n".join(self._printed().splitlines()[-END_LINES:]))

    def _printed(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")


def _say(text: str) -> None:
    sys.stdout.write(text.rstrip("\n") + "\n")
    sys.stdout.flush()
