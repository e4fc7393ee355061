"""What runs on a data directory: a JSON file, written by the supervisor, read by everybody.

The file says what the supervisor last wrote; whether that still holds is asked of the system. A
process is known by its id and its start time, because ids are used again.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import psutil

from node_import.stack.layout import Layout, data_dir_layout, write_private

Phase = Literal["starting", "ready", "stopping"]
# Start times are read from clocks that NTP moves.
SAME_START_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class ProcessId:
    """A process, not to be taken for a later one with the same id."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """The process that has this id now.

        Raises:
            psutil.NoSuchProcess
        """
        return cls(pid, psutil.Process(pid).create_time())

    def is_alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < SAME_START_SECONDS
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False  # gone, or another account's process under the same id


@dataclass(frozen=True, slots=True)
class StackState:
    """One stack: its supervisor, its processes, and the settings that connect to it."""

    data_dir: Path
    supervisor: ProcessId
    phase: Phase
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    children: dict[str, ProcessId] = field(default_factory=dict)
    moved_ports: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def webserver_url(self) -> str:
        """Dagster's UI."""
        return self.environment["NODE_IMPORT_WEBSERVER_URL"]

    def write(self, layout: Layout) -> None:
        """Let others see it."""
        document = {**asdict(self), "data_dir": str(self.data_dir)}
        write_private(layout.state_file, json.dumps(document, indent=2))


def running_stack(data_dir: Path | None = None) -> StackState | None:
    """The stack on `data_dir` (see `data_dir_layout`), if its supervisor is alive.

    Look at `phase`: while it is `starting`, settings may still be missing.
    """
    state = last_state(data_dir_layout(data_dir))
    return state if state and state.supervisor.is_alive() else None


def stack_environment(state: StackState) -> dict[str, str]:
    """The variables that connect to it: all settings, DAGSTER_HOME, the webserver's URL."""
    return dict(state.environment)


def last_state(layout: Layout) -> StackState | None:
    """What the last supervisor wrote, be it alive or not."""
    try:
        document = json.loads(layout.state_file.read_text(encoding="utf-8"))
        return StackState(
            data_dir=Path(document["data_dir"]),
            supervisor=ProcessId(**document["supervisor"]),
            phase=document["phase"],
            environment=document["environment"],
            children={name: ProcessId(**who) for name, who in document["children"].items()},
            moved_ports={name: (old, new) for name, (old, new) in document["moved_ports"].items()},
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


class DataDirInUse(Exception):
    """Another supervisor holds the data directory."""


@contextmanager
def exclusive(layout: Layout) -> Iterator[None]:
    """Hold the data directory; the system gives it back when this process ends, however.

    Raises:
        DataDirInUse: at once; nobody waits here.
    """
    descriptor = os.open(layout.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataDirInUse(str(layout.root)) from None
        yield
    finally:
        os.close(descriptor)


def is_held(layout: Layout) -> bool:
    """Whether a supervisor holds the data directory."""
    if not layout.lock_file.exists():
        return False
    try:
        with exclusive(layout):
            return False
    except DataDirInUse:
        return True
