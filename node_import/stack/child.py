"""A child process of the stack, and the guardian that outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from node_import.stack import guardian
from node_import.stack.layout import PRIVATE_FILE

# A log that grew past this is set aside (`.old`) at the next start of its process.
MAX_LOG_BYTES = 50 * 1024 * 1024


class Guardian:
    """Our end of `guardian.py`: it ends the children if this process dies first.

    If somebody kills the guardian, the next note (or `check`) starts another that knows the same.
    """

    def __init__(self) -> None:
        self._notes: dict[int, str] = {}
        self._process = self._launch()

    def guard(self, pgid: int, first_signal: int, grace: float) -> None:
        """End this process group should this process die."""
        self._notes[pgid] = f"guard {pgid} {int(first_signal)} {grace}"
        self._tell(self._notes[pgid])

    def forget(self, pgid: int) -> None:
        """The group is gone."""
        self._notes.pop(pgid, None)
        self._tell(f"forget {pgid}")

    def check(self) -> None:
        """Start it again if it is gone."""
        if self._process.poll() is not None:
            self.close()
            self._process = self._launch()
            for note in self._notes.values():
                self._tell(note)

    def close(self) -> None:
        """Let it go; it ends what it still guards."""
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def _launch() -> subprocess.Popen[str]:
        # By path and isolated (-I -S): in 20 ms, without the packages that the stack needs.
        return subprocess.Popen(
            [sys.executable, "-I", "-S", guardian.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            cwd="/",
            text=True,
        )

    def _tell(self, line: str) -> None:
        if self._process.stdin is None or self._process.stdin.closed:
            return
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            self.check()


@dataclass(slots=True)
class Child:
    """A program that runs beside us, in a process group (and session) of its own.

    A Ctrl-C at the terminal therefore does not reach it: the supervisor ends its children, in
    order. `stop_signal` asks the group to end; after `grace` seconds it is killed.
    """

    name: str
    argv: Sequence[str]
    log: Path
    env: Mapping[str, str]
    cwd: Path
    stop_signal: int = signal.SIGTERM
    grace: float = 10.0
    popen_arguments: Mapping[str, Any] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None
    _log_start: int = 0

    @property
    def pid(self) -> int | None:
        """Process id, which is its process group's too."""
        return self._process.pid if self._process else None

    def start(self, guard: Guardian) -> None:
        """Start it; its output goes to the log."""
        with self._open_log() as output:
            self._log_start = output.tell()
            self._process = subprocess.Popen(
                list(self.argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(self.env),
                cwd=self.cwd,
                start_new_session=True,
                **self.popen_arguments,
            )
        guard.guard(self._process.pid, self.stop_signal, self.grace)

    def exit_code(self) -> int | None:
        """None while it runs (or was never started); negative is the signal that ended it."""
        return self._process.poll() if self._process else None

    def is_running(self) -> bool:
        """Started and not ended."""
        return self._process is not None and self._process.poll() is None

    def stop(self, guard: Guardian, *, grace: float | None = None) -> bool:
        """End the whole group; also what a dead leader left. Returns whether asking was enough."""
        if self._process is None:
            return True
        patience = self.grace if grace is None else grace
        asked = guardian.stop_group(
            self._process.pid,
            self.stop_signal,
            patience,
            reap=self._process.poll,
        )
        guard.forget(self._process.pid)
        self._process.wait()
        self._process = None
        return asked

    def log_tail(self, lines: int = 15) -> str:
        """The end of what it has logged since it was started, to say why it died."""
        try:
            with self.log.open("rb") as file:
                file.seek(self._log_start)
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join(text.rstrip().splitlines()[-lines:])

    def _open_log(self) -> Any:
        if self.log.exists() and self.log.stat().st_size > MAX_LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.old"))
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        file = os.fdopen(os.open(self.log, flags, PRIVATE_FILE), "ab")
        file.seek(0, os.SEEK_END)
        return file
