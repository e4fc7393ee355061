"""Ends the processes of a supervisor that died without ending them itself (SIGKILL, a crash).

The supervisor starts this file as a program and keeps the write end of its standard input. As
long as that is open, the guardian only takes notes, one a line: `guard PGID SIGNAL SECONDS`
and `forget PGID`. When the input ends, it ends the process groups that are left, the last first.
That works on every POSIX system and reaches grandchildren, run workers among them, which
Linux's PR_SET_PDEATHSIG does not.

Nothing but the standard library is imported: it lives as long as the stack and should be small.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

PROC = Path("/proc")
POLL_SECONDS = 0.05


def group_is_alive(pgid: int) -> bool:
    """Whether a process of the group runs; a zombie that nobody has reaped does not."""
    try:
        os.killpg(pgid, 0)
    except (ProcessLookupError, PermissionError):
        return False  # macOS says "not permitted" of a group that has only zombies
    if not (PROC / "self" / "stat").exists():
        return True
    return any(_runs_in_group(entry, pgid) for entry in PROC.iterdir() if entry.name.isdigit())


def _runs_in_group(process: Path, pgid: int) -> bool:
    try:
        # pid (name) state ppid pgrp …; the name may hold spaces and brackets.
        state, _, group = (process / "stat").read_text().rpartition(")")[2].split()[:3]
    except (OSError, ValueError):
        return False
    return int(group) == pgid and state not in "ZX"


def stop_group(
    pgid: int,
    first_signal: int,
    grace: float,
    *,
    reap: Callable[[], object] = lambda: None,
) -> bool:
    """Ask the process group to end, and kill it when `grace` seconds have passed.

    `reap` is called between looks, for a parent that has to wait for its child.
    Returns whether asking was enough.
    """
    _send(pgid, first_signal)
    if _gone_within(pgid, grace, reap):
        return True
    _send(pgid, signal.SIGKILL)
    _gone_within(pgid, 10, reap)
    return False


def _send(pgid: int, number: int) -> None:
    try:
        os.killpg(pgid, number)
    except (ProcessLookupError, PermissionError):
        return


def _gone_within(pgid: int, seconds: float, reap: Callable[[], object]) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        reap()
        if not group_is_alive(pgid):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)


def main() -> None:
    """Take notes until the supervisor is gone, then end what it left."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    guarded: dict[int, tuple[int, float]] = {}
    for line in sys.stdin:
        match line.split():
            case ["guard", pgid, number, grace]:
                guarded[int(pgid)] = (int(number), float(grace))
            case ["forget", pgid]:
                guarded.pop(int(pgid), None)
    for group, (first_signal, patience) in reversed(guarded.items()):
        stop_group(group, first_signal, patience)


if __name__ == "__main__":
    main()
