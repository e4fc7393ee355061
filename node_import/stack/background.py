"""Starts and stops a stack that runs in another process."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from node_import.stack.layout import PRIVATE_FILE, Layout, data_dir_layout
from node_import.stack.python_process import own_environment, python_command
from node_import.stack.start_failure import StartFailed
from node_import.stack.state import StackState, is_held, last_state, running_stack

POLL_SECONDS = 0.1
# Before each line of the log that says what is done now.
STEP = "> "
# Kept, because Python warns of a process object that goes while its process runs.
_started: list[subprocess.Popen[bytes]] = []
# Longer than all graces of an orderly stop together.
STOP_SECONDS = 120.0
START_SECONDS = 300.0


def start_stack_in_background(
    data_dir: Path | None = None,
    *,
    webserver_port: int | None = None,
    on_step: Callable[[str], None] = lambda _: None,
) -> StackState:
    """Start a stack that stays when this process ends; returns when it is ready.

    A stack that already runs on the data directory is waited for and returned.

    Raises:
        StartFailed: with the end of its log.
    """
    layout = data_dir_layout(data_dir)
    if running_stack(layout.root) is not None:
        return wait_until_ready(layout.root, on_step=on_step)
    layout.create()
    log = layout.logs / "stack.log"
    arguments = [f"--data-dir={layout.root}"]
    if webserver_port is not None:
        arguments.append(f"--port={webserver_port}")
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE_FILE)
    with os.fdopen(descriptor, "wb") as output:
        process = subprocess.Popen(
            python_command("node_import.stack", *arguments),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=own_environment(),
            start_new_session=True,
        )
    _started.append(process)
    try:
        return wait_until_ready(layout.root, process, on_step=on_step)
    except BaseException:
        if process.poll() is None:
            process.terminate()
        process.wait()
        raise


def wait_until_ready(
    data_dir: Path | None = None,
    process: subprocess.Popen[bytes] | None = None,
    *,
    on_step: Callable[[str], None] = lambda _: None,
) -> StackState:
    """Wait for a stack that is starting; `on_step` gets what it does, as it tells its log.

    Raises:
        StartFailed: it ended, or took longer than five minutes.
    """
    layout = data_dir_layout(data_dir)
    log = layout.logs / "stack.log"
    steps_told = 0
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        steps = _steps(log) if process else []
        for step in steps[steps_told:]:
            on_step(step)
        steps_told = len(steps)
        ended = process.poll() is not None if process else not is_held(layout)
        state = last_state(layout)
        if (
            state
            and state.phase == "ready"
            and (process is None or state.supervisor.pid == process.pid)
        ):
            return state
        if ended:
            said = [line for line in _lines(log) if not line.startswith(STEP)]
            raise StartFailed("the stack", "\n".join(said[-20:]))
        time.sleep(POLL_SECONDS)
    raise StartFailed("the stack", f"not ready after {START_SECONDS:.0f} s; see {layout.logs}")


def stop_stack(data_dir: Path | None = None) -> bool:
    """Stop the stack on this data directory and wait until it is gone.

    Returns False when none ran.
    """
    layout = data_dir_layout(data_dir)
    state = running_stack(layout.root)
    if state is None:
        return False
    with suppress(psutil.NoSuchProcess):
        psutil.Process(state.supervisor.pid).send_signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while _is_there(layout, state):
        if time.monotonic() > deadline:
            # Its guardian ends the rest.
            psutil.Process(state.supervisor.pid).kill()
            deadline = time.monotonic() + STOP_SECONDS
        time.sleep(POLL_SECONDS)
    return True


def _is_there(layout: Layout, state: StackState) -> bool:
    processes = [state.supervisor, *state.children.values()]
    return is_held(layout) or any(process.is_alive() for process in processes)


def _steps(log: Path) -> list[str]:
    return [line.removeprefix(STEP) for line in _lines(log) if line.startswith(STEP)]


def _lines(log: Path) -> list[str]:
    try:
        return log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
