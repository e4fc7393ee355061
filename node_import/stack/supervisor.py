"""Starts the whole stack, keeps it running, and ends it in good order.

    start   PostgreSQL, Kafka, S3 → migrations and the code location → webserver and daemon
    stop    daemon → code location with its run workers → webserver → S3, Kafka → PostgreSQL

A process that dies is started again; one that dies over and over ends the stack.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

import psutil

from node_import.database.migrations import migrate
from node_import.stack import dagster_health
from node_import.stack.child import Child
from node_import.stack.dagster_home import write_dagster_home
from node_import.stack.dagster_processes import DEFINITIONS, DagsterProcesses, dagster_processes
from node_import.stack.environment import embedded_settings, stack_variables
from node_import.stack.guardian import stop_group
from node_import.stack.layout import Layout
from node_import.stack.ports import LOOPBACK, Ports, choose_ports, remember_ports, remembered_ports
from node_import.stack.services import Services
from node_import.stack.start_failure import StartFailed
from node_import.stack.state import Phase, ProcessId, StackState, exclusive, last_state

READY_SECONDS = 180.0
LOOK_SECONDS = 0.5
# A process that dies more often than this within a minute will not get better by itself.
MAX_DEATHS = 5
DEATHS_WINDOW = 60.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StackFailed(Exception):
    """The stack cannot go on; the text says which process died, and the end of its log."""


class StopAsked(Exception):
    """Somebody asked for the end while the stack was still starting."""


@dataclass(slots=True)
class _Deaths:
    """When one process died, as far as it matters."""

    times: deque[float] = field(default_factory=deque)

    def one_too_many(self) -> bool:
        """Note one more death."""
        now = time.monotonic()
        self.times.append(now)
        while now - self.times[0] > DEATHS_WINDOW:
            self.times.popleft()
        return len(self.times) > MAX_DEATHS


class Supervisor:
    """One stack on one data directory, run by the main thread of this process."""

    def __init__(
        self,
        data_dir: Path,
        *,
        webserver_port: int | None = None,
        definitions: str = DEFINITIONS,
        on_step: Callable[[str], None] = lambda _: None,
        on_incident: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`on_step` gets a few words on what is done now, `on_incident` on what went wrong."""
        self._layout = Layout(data_dir.absolute())
        self._webserver_port = webserver_port
        self._definitions = definitions
        self._on_step = on_step
        self._on_incident = on_incident
        self._asked = threading.Event()
        self._deaths: dict[str, _Deaths] = {}
        self._services: Services | None = None
        self._dagster: DagsterProcesses | None = None
        self.state: StackState | None = None

    def run(self, on_ready: Callable[[StackState], None]) -> None:
        """Start, call `on_ready`, keep running until a signal asks for the end, stop.

        Raises:
            DataDirInUse: another supervisor holds the data directory.
            StartFailed, StackFailed: everything was stopped again.
            StopAsked: a signal came before the stack was ready; everything was stopped again.
            UsageError: a setting or the data directory is of no use.
        """
        self._layout.create()
        with exclusive(self._layout):
            self._catch_signals()
            try:
                self._start()
                if self.state:
                    on_ready(self.state)
                self._watch()
            finally:
                self._stop()

    def _start(self) -> None:
        self._end_leftovers()
        wanted = remembered_ports(self._layout)
        if self._webserver_port is not None:
            wanted = replace(wanted, webserver=self._webserver_port)
        ports = choose_ports(wanted)
        self._write_state("starting", moved=_moved(wanted, ports))
        self._services = Services(
            self._layout.root, ports=ports, on_progress=lambda what: self._step(f"Starting {what}")
        )
        self._services.start()
        remember_ports(self._layout, ports)
        self._start_dagster(self._services, ports)
        self._write_state("ready")

    def _step(self, text: str) -> None:
        """The next step of the start; here it can be called off."""
        if self._asked.is_set():
            raise StopAsked
        self._on_step(text)

    def _start_dagster(self, services: Services, ports: Ports) -> None:
        endpoints = services.endpoints
        settings = embedded_settings(endpoints, self._layout)
        url = f"http://{LOOPBACK}:{ports.webserver}"
        variables = stack_variables(settings, self._layout, endpoints.dagster_dsn, url)
        if self.state:
            self.state = replace(self.state, environment=variables)
        write_dagster_home(self._layout, ports.code_location, settings.max_concurrent_runs)
        self._dagster = dagster_processes(self._layout, ports, variables, self._definitions)
        self._step("Bringing the database to the newest schema")
        self._dagster.code_location.start(services.guard)
        migrate(endpoints.postgres_admin_dsn, endpoints.postgres_importer_dsn)
        self._step("Loading the code location")
        self._wait(lambda: _unless_up(ports.code_location, "the code location"))
        self._step("Starting Dagster's webserver and daemon")
        self._dagster.webserver.start(services.guard)
        self._dagster.daemon.start(services.guard)
        self._wait(lambda: dagster_health.what_is_missing(ports.webserver))

    def _wait(self, missing: Callable[[], str | None]) -> None:
        """Until nothing is missing; a child that dies meanwhile ends it at once."""
        deadline = time.monotonic() + READY_SECONDS
        while (what := missing()) is not None:
            if self._asked.is_set():
                raise StopAsked
            for child in self._children():
                if child.exit_code() is not None:
                    raise StartFailed(child.name, child.log_tail())
            if time.monotonic() > deadline:
                logs = f"see {self._layout.logs}"
                raise StartFailed("Dagster", f"after {READY_SECONDS:.0f} s: {what}; {logs}")
            time.sleep(0.2)

    def _watch(self) -> None:
        while not self._asked.wait(LOOK_SECONDS):
            if self._services:
                self._services.guard.check()
            for child in self._children():
                if child.exit_code() is not None:
                    self._start_again(child)

    def _start_again(self, child: Child) -> None:
        if self._services is None:
            return
        guard = self._services.guard
        how = _how_it_ended(child.exit_code() or 0)
        if self._deaths.setdefault(child.name, _Deaths()).one_too_many():
            text = f"{child.name} {how} {MAX_DEATHS + 1} times within a minute:"
            raise StackFailed(f"{text}\n{child.log_tail()}")
        self._on_incident(f"{child.name} {how}; starting it again (log: {child.log})")
        child.stop(guard)  # what its group still holds, run workers for one
        if child is self._services.postgres.child:
            self._services.postgres.run(guard)
        else:
            child.start(guard)
        self._write_state("ready")

    def _stop(self) -> None:
        """Good order; each step goes on should the one before it fail to end in time."""
        if self._services is None:
            self._layout.state_file.unlink(missing_ok=True)
            return
        self._write_state("stopping")
        self._on_step("Stopping")
        guard = self._services.guard
        if self._dagster:
            for child in (self._dagster.daemon, self._dagster.code_location):
                child.stop(guard)
            self._dagster.webserver.stop(guard)
        self._services.stop()
        self._layout.state_file.unlink(missing_ok=True)

    def _children(self) -> list[Child]:
        """Those that were started, in that order."""
        children = list(self._services.children) if self._services else []
        if self._dagster:
            children += [
                self._dagster.code_location,
                self._dagster.webserver,
                self._dagster.daemon,
            ]
        return [child for child in children if child.pid is not None]

    def _write_state(
        self, phase: Phase, *, moved: dict[str, tuple[int, int]] | None = None
    ) -> None:
        state = self.state or StackState(
            self._layout.root, ProcessId.of(os.getpid()), phase, moved_ports=moved or {}
        )
        children = {}
        for child in self._children():
            try:
                children[child.name] = ProcessId.of(child.pid or 0)
            except psutil.NoSuchProcess:
                continue
        self.state = replace(state, phase=phase, children=children)
        self.state.write(self._layout)

    def _end_leftovers(self) -> None:
        """Processes of a stack whose supervisor and guardian were both killed."""
        before = last_state(self._layout)
        for who in reversed(list(before.children.values()) if before else []):
            if who.is_alive():
                stop_group(who.pid, signal.SIGTERM, 5)

    def _catch_signals(self) -> None:
        for number in STOP_SIGNALS:
            # Under nohup the terminal may close. A Ctrl-C that a script has turned off counts.
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """First: the end, in good order. Second: the end, now."""
        if self._asked.is_set():
            for child in self._children():
                _kill(
                    child, hard=self._services is None or child is not self._services.postgres.child
                )
            return
        self._asked.set()


def _kill(child: Child, *, hard: bool) -> None:
    """PostgreSQL is asked for its immediate shutdown: it then ends its backends itself."""
    if child.pid is None:
        return
    try:
        os.killpg(child.pid, signal.SIGKILL if hard else signal.SIGQUIT)
    except ProcessLookupError:
        return


def _unless_up(port: int, what: str) -> str | None:
    return None if dagster_health.port_answers(port) else f"{what} does not answer yet"


def _moved(wanted: Ports, got: Ports) -> dict[str, tuple[int, int]]:
    """Service → (port that was taken, port that it has)."""
    before, now = wanted.by_name(), got.by_name()
    return {name: (before[name], now[name]) for name in now if before[name] != now[name]}


def _how_it_ended(code: int) -> str:
    if code < 0:
        return f"was killed ({signal.Signals(-code).name})"
    return f"ended with exit code {code}"
