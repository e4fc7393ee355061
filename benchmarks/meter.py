"""CPU, memory, WAL and flushes of one import, as curves over time.

CPU of a process counts what its ended children took as well (Linux adds it when they are reaped),
so nothing is missed between two looks. Looks are 0.1 s apart and cost some 1 ms.
"""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

LOOK_SECONDS = 0.1
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")

FLUSHES = """
SELECT coalesce(sum(fsyncs) FILTER (WHERE object = 'wal'), 0)::bigint AS wal_fsyncs,
       coalesce(sum(fsyncs) FILTER (WHERE object <> 'wal'), 0)::bigint AS data_fsyncs
FROM pg_stat_io
"""


@dataclass(frozen=True, slots=True)
class Look:
    """One look: `cpu` is seconds since the process began, by who; `rss` is that of the workers."""

    time: float
    cpu: Mapping[str, float]
    rss: int
    wal: int


@dataclass(slots=True)
class Curves:
    """All looks of one measurement."""

    looks: list[Look] = field(default_factory=list)
    wal_fsyncs: int = 0
    data_fsyncs: int = 0

    @property
    def peak_rss(self) -> int:
        """Bytes; workers and their children together."""
        return max((look.rss for look in self.looks), default=0)

    def cpu(self, who: str, start: float, end: float) -> float:
        """CPU seconds between two moments."""
        return self._at(end, who) - self._at(start, who)

    def wal(self, start: float, end: float) -> float:
        """Bytes of WAL between two moments."""
        return self._at(end, None) - self._at(start, None)

    def _at(self, moment: float, who: str | None) -> float:
        """A curve at a moment, on the line between two looks."""
        times = [look.time for look in self.looks]
        at = min(max(bisect_left(times, moment), 1), len(times) - 1)
        before, after = self.looks[at - 1], self.looks[at]
        low = float(before.wal) if who is None else before.cpu[who]
        high = float(after.wal) if who is None else after.cpu[who]
        span = after.time - before.time
        share = min(max((moment - before.time) / span, 0.0), 1.0) if span else 1.0
        return low + (high - low) * share


class Meter:
    """Watches a stack while a block runs: `with Meter(...) as meter: …; meter.curves`.

    `services` are process ids by name. Run workers are descendants of `parent_of_workers` that
    were not there when the block began; their CPU is under the name `worker`.
    """

    def __init__(self, services: Mapping[str, int], parent_of_workers: str, admin_dsn: str) -> None:
        self._services = dict(services)
        self._parent = parent_of_workers
        self._admin_dsn = admin_dsn
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="meter", daemon=True)
        self._known: set[int] = set()
        self.curves = Curves()

    def __enter__(self) -> Meter:
        self._known = set(descendants(self._services[self._parent]))
        self._conn = psycopg.connect(self._admin_dsn, autocommit=True)
        self._flushes(-1)
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._look()
        self._flushes(+1)
        self._conn.close()

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_SECONDS):
            self._look()

    def _flushes(self, sign: int) -> None:
        row = self._conn.execute(FLUSHES).fetchone() or (0, 0)
        self.curves.wal_fsyncs += sign * row[0]
        self.curves.data_fsyncs += sign * row[1]

    def _look(self) -> None:
        cpu = {}
        rss = 0
        for name, pid in self._services.items():
            if name != self._parent:
                cpu[name] = tree_cpu(pid)
                continue
            # Runs are forked from a child that was there before.
            old, new = [pid], []
            for child in descendants(pid):
                (old if child in self._known else new).append(child)
            cpu[name] = sum(cpu_of(one)[0] for one in old)
            ended = sum(cpu_of(one)[1] for one in old)
            cpu["worker"] = ended + sum(sum(cpu_of(child)) for child in new)
            rss = sum(rss_of(child) for child in new)
        if self.curves.looks:
            # A process that ends while its tree is read is in neither of two sums: what it took
            # was missing from a look, and counted with the step after.
            before = self.curves.looks[-1].cpu
            cpu = {name: max(seconds, before[name]) for name, seconds in cpu.items()}
        row = self._conn.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()
        self.curves.looks.append(Look(time.time(), cpu, rss, int(row[0]) if row else 0))


def tree_cpu(pid: int) -> float:
    """CPU seconds of a process, its ended children and its living descendants."""
    return sum(sum(cpu_of(one)) for one in (pid, *descendants(pid)))


def cpu_of(pid: int) -> tuple[float, float]:
    """CPU seconds of the process itself, and of its children that have ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0.0, 0.0
    fields = text.rpartition(")")[2].split()
    own, ended = fields[11:13], fields[13:15]
    return sum(map(int, own)) / _TICKS, sum(map(int, ended)) / _TICKS


def rss_of(pid: int) -> int:
    """Resident bytes of one process."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def descendants(pid: int) -> Iterator[int]:
    """Children, their children and so on."""
    for child in _children(pid):
        yield child
        yield from descendants(child)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text(encoding="ascii").split())
    except OSError:
        return found
    return found
