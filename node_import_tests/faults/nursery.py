"""Our end of the zygote: start processes of the importer, kill them, learn how they ended."""

from __future__ import annotations

import itertools
import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from node_import.stack.python_process import environment_without_settings, python_command
from node_import_tests.faults.injector import Trigger

PATIENCE = 120.0  # seconds
# Two cores, many processes: no pools of threads.
_SMALL = {"POLARS_MAX_THREADS": "2", "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


@dataclass
class Process:
    """A process of the importer. `status` is None while it lives."""

    pid: int
    role: str
    label: str
    log: Path
    points: Path
    answer_file: Path
    status: int | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def kind(self) -> str:
        """What it was started as."""
        return self.label.partition("-")[2]

    @property
    def is_alive(self) -> bool:
        """Not ended, maybe stopped."""
        return not self.ended.is_set()

    @property
    def was_killed(self) -> bool:
        """By SIGKILL, from itself or from us."""
        return self.status == -signal.SIGKILL

    def send(self, number: int) -> None:
        """A signal to it and all that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit status; negative is a signal."""
        assert self.ended.wait(seconds), f"{self.label} does not end:\n{self.tail()}"
        assert self.status is not None
        return self.status

    def answer(self) -> dict[str, Any] | None:
        """What it found; None if it died before."""
        try:
            answer: dict[str, Any] = json.loads(self.answer_file.read_text())
        except (OSError, ValueError):
            return None
        return answer

    def reached(self) -> list[str]:
        """The points that it has come to, in order."""
        if not self.points.exists():
            return []
        return self.points.read_text().splitlines()

    def tail(self, lines: int = 30) -> str:
        """The end of what it said."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


class Nursery:
    """One zygote. Used by one thread."""

    def __init__(self, log: Path) -> None:
        with log.open("ab") as errors:
            self._zygote = subprocess.Popen(
                python_command("node_import_tests.faults.zygote"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={
                    **environment_without_settings(),
                    **_SMALL,
                    # Loading the definitions wants to know of settings; the forks have their own.
                    "NODE_IMPORT_SENSOR_INTERVAL": "1",
                },
                start_new_session=True,
            )
        self._started: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._processes: dict[int, Process] = {}
        self._early: dict[int, int] = {}
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, name="nursery", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        assert self._ready.wait(PATIENCE), "the zygote does not come up"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._zygote.stdin is not None
        self._zygote.stdin.close()
        self._zygote.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert self._zygote.stdout is not None
        self._zygote.stdout.close()

    def start(
        self,
        role: str,
        folder: Path,
        environment: Mapping[str, str],
        *,
        triggers: Sequence[Trigger] = (),
        label: str = "",
        **order: Any,
    ) -> Process:
        """A new process, which has begun when this returns."""
        name = f"{next(self._numbers):04}-{label or role}"
        paths = {
            kind: folder / "processes" / f"{name}.{kind}" for kind in ("log", "points", "answer")
        }
        paths["log"].parent.mkdir(exist_ok=True)
        line = {
            **order,
            "role": role,
            "folder": str(folder),
            "environment": dict(environment),
            "triggers": [asdict(trigger) for trigger in triggers],
            **{kind: str(path) for kind, path in paths.items()},
        }
        assert self._zygote.stdin is not None
        self._zygote.stdin.write(json.dumps(line).encode() + b"\n")
        self._zygote.stdin.flush()
        pid = self._started.get(timeout=PATIENCE)
        made = Process(pid, role, name, paths["log"], paths["points"], paths["answer"])
        with self._lock:
            if pid in self._early:
                self._end(made, self._early.pop(pid))
            else:
                self._processes[pid] = made
        return made

    def _read(self) -> None:
        assert self._zygote.stdout is not None
        for line in self._zygote.stdout:
            said = json.loads(line)
            if "ready" in said:
                self._ready.set()
            elif "started" in said:
                self._started.put(said["started"])
            else:
                with self._lock:
                    process = self._processes.pop(said["ended"], None)
                    if process is None:
                        self._early[said["ended"]] = said["status"]
                    else:
                        self._end(process, said["status"])

    @staticmethod
    def _end(process: Process, status: int) -> None:
        process.status = status
        process.ended.set()
