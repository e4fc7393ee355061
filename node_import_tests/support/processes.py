"""Which processes work in a folder; to see that nothing is left behind."""

from __future__ import annotations

import time
from pathlib import Path

import psutil


def processes_in(folder: Path) -> dict[int, str]:
    """Live processes with the folder in their command line or as their working directory."""
    found = {}
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
            inside = str(folder) in command or process.cwd().startswith(str(folder))
            if inside and process.status() != psutil.STATUS_ZOMBIE:
                found[process.pid] = command
        except psutil.Error:
            continue
    return found


def wait_until_none_in(folder: Path, seconds: float = 60) -> dict[int, str]:
    """Those that are still there after `seconds`; empty as soon as none is."""
    deadline = time.monotonic() + seconds
    while (left := processes_in(folder)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left
