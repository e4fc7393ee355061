"""The supervisor with Dagster's real processes, on the smallest of code locations."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import psycopg

from node_import.stack import dagster_health
from node_import.stack.layout import Layout
from node_import.stack.ports import remember_ports
from node_import.stack.state import ProcessId, StackState, last_state, running_stack
from node_import.stack.supervisor import Supervisor
from node_import_tests.support.ports import random_ports
from node_import_tests.support.processes import processes_in, wait_until_none_in

DEFINITIONS = "node_import_tests.integration.stack.tiny_definitions"
RUN = """
import sys
from pathlib import Path
from node_import.stack.supervisor import Supervisor
folder, definitions = sys.argv[1:]
stack = Supervisor(Path(folder), definitions=definitions, on_step=print, on_incident=print)
stack.run(lambda _: print("ready"))
"""
PATIENCE = 120.0


class Stack:
    """A supervisor in a process of its own."""

    def __init__(self, folder: Path, definitions: str = DEFINITIONS) -> None:
        self.folder = folder
        layout = Layout(folder)
        layout.create()
        if not layout.ports_file.exists():
            remember_ports(layout, random_ports())
        self._output = (folder / "output").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-c", RUN, str(folder), definitions],
            stdout=self._output,
            stderr=subprocess.STDOUT,
            cwd=Path(__file__).parents[3],
        )

    def output(self) -> str:
        """All that it has printed."""
        return (self.folder / "output").read_text()

    def wait_until(self, what: Callable[[], bool]) -> None:
        """Until it is so; the supervisor must live meanwhile."""
        deadline = time.monotonic() + PATIENCE
        while not what():
            assert self.process.poll() is None, self.output()
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.1)

    def ready(self) -> StackState:
        """Its state, once it is ready."""
        self.wait_until(lambda: "ready" in self.output().split())
        state = running_stack(self.folder)
        assert state
        return state

    def end(self) -> int:
        """Wait for its end; the exit code."""
        code = self.process.wait(PATIENCE)
        self._output.close()
        return code


def run_workers(state: StackState) -> list[psutil.Process]:
    """Descendants of the code location that run jobs."""
    location = psutil.Process(state.children["code-location"].pid)
    return [one for one in location.children(recursive=True) if "spawn_main" in str(one.cmdline())]


def run_count(state: StackState) -> int:
    """Runs in Dagster's storage."""
    with psycopg.connect(state.environment["DAGSTER_POSTGRES_URL"]) as conn:
        row = conn.execute("SELECT count(*) FROM runs").fetchone()
    assert row
    return int(row[0])


def why_runs_failed(state: StackState) -> list[str]:
    """What Dagster noted of each run that failed."""
    with psycopg.connect(state.environment["DAGSTER_POSTGRES_URL"]) as conn:
        query = "SELECT value FROM run_tags WHERE key = 'dagster/failure_reason'"
        return [reason for (reason,) in conn.execute(query)]


def webserver_is_another(state: StackState) -> bool:
    """Whether it was started again and answers."""
    now = last_state(Layout(state.data_dir))
    port = int(state.webserver_url.rpartition(":")[2])
    restarted = bool(now and now.children.get("webserver") != state.children["webserver"])
    return restarted and dagster_health.what_is_missing(port) is None


def test_stack_survives_its_processes_and_dies_whole(tmp_path: Path) -> None:
    """A webserver that dies is started again; with the supervisor killed, nothing is left, not even
    a run worker, which was asked to end; the next start finds Dagster's history; a second Ctrl-C
    ends it without waiting.
    """
    stack = Stack(tmp_path)
    state = stack.ready()
    stack.wait_until(lambda: bool(run_workers(state)))

    os.kill(state.children["webserver"].pid, signal.SIGKILL)
    stack.wait_until(lambda: webserver_is_another(state))
    assert "webserver was killed (SIGKILL)" in stack.output()

    stack.process.kill()
    stack.end()
    assert wait_until_none_in(tmp_path) == {}
    assert running_stack(tmp_path) is None

    stack = Stack(tmp_path)
    state = stack.ready()
    assert run_count(state) == 1
    assert why_runs_failed(state) == ["UNEXPECTED_TERMINATION"]
    stack.process.send_signal(signal.SIGINT)
    stack.wait_until(lambda: "Stopping" in stack.output())
    stack.process.send_signal(signal.SIGINT)
    assert stack.end() == 0
    assert processes_in(tmp_path) == {}


def test_code_location_that_does_not_load(tmp_path: Path) -> None:
    """The start ends with Dagster's reason, and everything is stopped again."""
    stack = Stack(tmp_path, "no_such_definitions")
    assert stack.end() == 1
    assert "No module named 'no_such_definitions'" in stack.output()
    assert processes_in(tmp_path) == {}
    assert running_stack(tmp_path) is None


def test_stop_while_it_starts(tmp_path: Path) -> None:
    """A signal before it is ready is heeded at the next step."""
    stack = Stack(tmp_path)
    stack.wait_until(lambda: "Starting PostgreSQL" in stack.output())
    stack.process.send_signal(signal.SIGTERM)
    stack.end()
    assert "StopAsked" in stack.output()
    assert processes_in(tmp_path) == {}


def test_leftovers_of_a_dead_stack_are_ended(tmp_path: Path) -> None:
    """Where supervisor and guardian were both killed, the next start ends what still runs, and
    leaves alone a process that only has the id of one of them."""
    layout = Layout(tmp_path)
    layout.create()
    nap = [sys.executable, "-c", "import time; time.sleep(600)"]
    with (
        subprocess.Popen(nap, start_new_session=True) as left,
        subprocess.Popen(nap, start_new_session=True) as other,
    ):
        stranger = ProcessId(other.pid, ProcessId.of(other.pid).started - 60)
        children = {"webserver": ProcessId.of(left.pid), "daemon": stranger}
        StackState(tmp_path, stranger, "ready", children=children).write(layout)
        try:
            Supervisor(tmp_path)._end_leftovers()
            assert left.wait() == -signal.SIGTERM
            assert other.poll() is None
        finally:
            left.kill()
            other.kill()
