"""Faults that happen while a conductor works. Each knows what it may leave behind, and says it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import dagster as dg
import psycopg
from sqlalchemy.exc import SQLAlchemyError

from node_import_tests.faults.conductor import Conductor
from node_import_tests.faults.lane import Service
from node_import_tests.faults.nursery import Process
from node_import_tests.faults.world import SHORT_EXPIRY

# Which codes a job may fail with for want of each service, when its tries are used up.
CODES_OF = {
    "PostgreSQL": frozenset({"DATABASE_UNAVAILABLE", "TIMEOUT", "RUN_DIED"}),
    "MinIO": frozenset({"OBJECT_STORE_UNAVAILABLE", "TIMEOUT", "RUN_DIED"}),
    "Kafka": frozenset[str](),
}


@dataclass(frozen=True, slots=True)
class Moment:
    """`delay` seconds after the first process of that kind has begun."""

    kind: str
    delay: float

    def __str__(self) -> str:
        return f"{self.delay:.2f} s into the first {self.kind}"


@dataclass
class Fault:
    """Something that is done once, at its moment."""

    moment: Moment
    codes: frozenset[str] = frozenset()
    _seen: float | None = None
    _done: bool = False
    _never: bool = False
    _next_look: float = 0.0

    def act(self, conductor: Conductor) -> None:
        """Look whether it is time."""
        if self._done:
            return
        if self._seen is None:
            self._look(conductor)
            return
        if time.monotonic() >= self._seen + self.moment.delay:
            self._done = self.strike(conductor)

    def is_over(self) -> bool:
        """Done, and nothing of it lasts."""
        return self._done

    def _look(self, conductor: Conductor) -> None:
        """Whether its moment has begun, or never comes: some requests need no run."""
        if any(process.kind == self.moment.kind for process in conductor.world.processes):
            self._seen = time.monotonic()
        elif time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + 0.5
            self._done = self._never = conductor.is_done()

    def strike(self, conductor: Conductor) -> bool:
        """Do it; False if there is nothing to do it to yet."""
        raise NotImplementedError


@dataclass
class Kill(Fault):
    """SIGKILL to a living process of a kind."""

    kind: str = "run"

    def __str__(self) -> str:
        return f"{self.kind} killed {self.moment}"

    def strike(self, conductor: Conductor) -> bool:
        """One that lives; none may come any more, which is a fault that did not happen."""
        for process in _living(conductor, self.kind):
            process.send(signal.SIGKILL)
            return True
        return _nothing_comes(conductor, self.kind)


@dataclass
class Freeze(Fault):
    """SIGSTOP to a run for longer than a silent run may live, then SIGCONT."""

    seconds: float = SHORT_EXPIRY + 2.0
    _frozen: Process | None = None
    _until: float = 0.0

    def __str__(self) -> str:
        return f"run stopped for {self.seconds:.1f} s {self.moment}"

    def strike(self, conductor: Conductor) -> bool:
        """Stop one."""
        for process in conductor.live_runs():
            process.send(signal.SIGSTOP)
            self._frozen, self._until = process, time.monotonic() + self.seconds
            return True
        return _nothing_comes(conductor, "run")

    def act(self, conductor: Conductor) -> None:
        """And let it go on."""
        super().act(conductor)
        if self._frozen is not None and time.monotonic() >= self._until:
            self._frozen.send(signal.SIGCONT)
            self._frozen = None

    def is_over(self) -> bool:
        """It goes on."""
        return super().is_over() and self._frozen is None


@dataclass
class Outage(Fault):
    """A service ends, by `how`, and is started again after so many seconds."""

    service: str = "PostgreSQL"
    how: str = "kill"
    seconds: float = 1.0
    _thread: threading.Thread | None = None

    def __str__(self) -> str:
        return f"{self.service} {self.how} for {self.seconds:.1f} s {self.moment}"

    def strike(self, conductor: Conductor) -> bool:
        """In a thread: the conductor works on."""
        service = service_named(conductor, self.service)
        self._thread = threading.Thread(target=self._be_away, args=[service])
        self._thread.start()
        return True

    def is_over(self) -> bool:
        """It is back."""
        return self._never or (super().is_over() and not _lives(self._thread))

    def _be_away(self, service: Service) -> None:
        begin, end = _WAYS[self.how]
        begin(service)
        time.sleep(self.seconds)
        end(service)


_WAYS: dict[str, tuple[Callable[[Service], None], Callable[[Service], None]]] = {
    "kill": (Service.kill, Service.start),
    "immediate stop": (Service.stop_at_once, Service.start),
    "stop": (Service.stop, Service.start),
    "cut": (lambda service: service.proxy.cut(), lambda _: None),
    "refusal": (lambda service: service.proxy.refuse(), lambda service: service.proxy.mend()),
    "silence": (lambda service: service.proxy.stall(), lambda service: service.proxy.mend()),
}


@dataclass
class DeleteRun(Fault):
    """Somebody deletes a run in Dagster's UI while it works."""

    def __str__(self) -> str:
        return f"run deleted {self.moment}"

    def strike(self, conductor: Conductor) -> bool:
        """The first that lives."""
        for run_id, process in conductor.runs.items():
            if process.is_alive:
                try:
                    conductor.world.instance.delete_run(run_id)
                except SQLAlchemyError:
                    return False
                return True
        return _nothing_comes(conductor, "run")


@dataclass
class Cancel(Fault):
    """Somebody cancels a run, as Dagster's launcher does: it is asked by SIGTERM."""

    def __str__(self) -> str:
        return f"run canceled {self.moment}"

    def strike(self, conductor: Conductor) -> bool:
        """The first that lives."""
        instance = conductor.world.instance
        for run_id, process in conductor.runs.items():
            if not process.is_alive:
                continue
            try:
                run = instance.get_run_by_id(run_id)
                if run is None or run.status is not dg.DagsterRunStatus.STARTED:
                    return False
                instance.report_run_canceling(run)
            except SQLAlchemyError:
                return False
            process.send(signal.SIGTERM)
            return True
        return _nothing_comes(conductor, "run")


@dataclass
class Lock(Fault):
    """Somebody else holds a lock on `nodes`, for so many seconds."""

    seconds: float = 1.0
    _thread: threading.Thread | None = None
    _release: threading.Event = field(default_factory=threading.Event)

    def __str__(self) -> str:
        return f"nodes locked for {self.seconds:.1f} s {self.moment}"

    def strike(self, conductor: Conductor) -> bool:
        """In a connection of its own, by way of no proxy."""
        self._thread = threading.Thread(target=self._hold, args=[conductor])
        self._thread.start()
        return True

    def is_over(self) -> bool:
        """It is released."""
        return self._never or (super().is_over() and not _lives(self._thread))

    def _hold(self, conductor: Conductor) -> None:
        try:
            with conductor.world.database.connect() as conn, conn.transaction():
                conn.execute("LOCK TABLE nodes IN EXCLUSIVE MODE")
                self._release.wait(self.seconds)
        except psycopg.Error:  # PostgreSQL was killed under it
            return


def _lives(thread: threading.Thread | None) -> bool:
    return thread is not None and thread.is_alive()


def service_named(conductor: Conductor, name: str) -> Service:
    """Of the lane."""
    return next(service for service in conductor.world.lane.services if service.name == name)


def _living(conductor: Conductor, kind: str) -> list[Process]:
    return [p for p in conductor.world.processes if p.is_alive and p.kind == kind]


def _nothing_comes(conductor: Conductor, kind: str) -> bool:
    """All is done already, so a fault that waits for a run would wait for ever."""
    return kind == "run" and conductor.is_done()
