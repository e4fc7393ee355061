"""The guardian: what a supervisor leaves when it is killed is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from node_import.stack.child import Child, Guardian
from node_import.stack.guardian import group_is_alive
from node_import_tests.support.processes import processes_in, wait_until_none_in

SERVICES = """
import sys, time
from pathlib import Path
from node_import.stack.services import Services
from node_import_tests.support.ports import random_ports
with Services(Path(sys.argv[1]), ports=random_ports()):
    print("ready", flush=True)
    time.sleep(600)
"""
# A leader that will not end, with a child of its own, as a code location has run workers.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("up", flush=True)
time.sleep(600)
"""


def start_services(folder: Path) -> subprocess.Popen[str]:
    """PostgreSQL, Kafka and S3 in a process of their own; returns when they are up."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVICES, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL."""
    process.kill()
    process.wait()
    if process.stdout:
        process.stdout.close()


def stubborn_child(folder: Path) -> Child:
    """Ignores SIGTERM."""
    return Child(
        name="stubborn",
        argv=[sys.executable, "-c", STUBBORN],
        log=folder / "stubborn.log",
        env=dict(os.environ),
        cwd=folder,
        grace=0.5,
    )


def started(child: Child, guard: Guardian) -> int:
    """Its process group, once it ignores SIGTERM."""
    child.start(guard)
    while "up" not in child.log_tail():
        time.sleep(0.02)
    return child.pid or 0


def test_killed_supervisor_leaves_no_process(tmp_path: Path) -> None:
    """All that it had started ends, PostgreSQL with a clean shutdown."""
    process = start_services(tmp_path)
    assert len(processes_in(tmp_path)) >= 3
    kill(process)
    assert wait_until_none_in(tmp_path) == {}
    assert "database system is shut down" in (tmp_path / "logs" / "postgres.log").read_text()


def test_services_start_again_after_a_kill(tmp_path: Path) -> None:
    """At once, while the guardian may still be at work."""
    kill(start_services(tmp_path))
    kill(start_services(tmp_path))
    assert wait_until_none_in(tmp_path) == {}


def test_stubborn_group_is_killed(tmp_path: Path) -> None:
    """Who does not end when asked is killed, with the processes that it started."""
    guard = Guardian()
    child = stubborn_child(tmp_path)
    pgid = started(child, guard)
    assert not child.stop(guard)
    assert not group_is_alive(pgid)
    guard.close()


def test_guardian_ends_what_it_was_told_of(tmp_path: Path) -> None:
    """Letting it go while a group is guarded is what the death of a supervisor looks like."""
    guard = Guardian()
    child = stubborn_child(tmp_path)
    pgid = started(child, guard)
    guard.close()
    assert not group_is_alive(pgid)
    assert child.exit_code() == -signal.SIGKILL


def test_killed_guardian_is_replaced(tmp_path: Path) -> None:
    """The new one knows what the old one knew."""
    guard = Guardian()
    child = stubborn_child(tmp_path)
    pgid = started(child, guard)
    guard._process.kill()
    guard._process.wait()
    guard.check()
    guard.close()
    assert not group_is_alive(pgid)
    assert child.exit_code() == -signal.SIGKILL
