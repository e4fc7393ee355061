"""Redis of one test session: in memory, with a password, ended with the tests."""

from __future__ import annotations

import secrets
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from node_import.stack.child import Child, Guardian
from node_import.stack.ports import LOOPBACK
from node_import_tests.services.running import free_ports

START_SECONDS = 30.0


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Its URL, password and all. Skips the test where there is no redis-server."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not here (Debian: apt-get install redis-server)")
    [port] = free_ports(1)
    password = secrets.token_hex(16)
    configuration = folder / "redis.conf"
    configuration.write_text(
        f'bind {LOOPBACK}\nport {port}\nrequirepass {password}\ndir {folder}\nsave ""\n'
    )
    child = Child(
        name="redis", argv=[program, str(configuration)], log=folder / "log", env={}, cwd=folder
    )
    with Guardian() as guard:
        child.start(guard)
        try:
            _wait_until_it_listens(child, port)
            yield f"redis://:{password}@{LOOPBACK}:{port}/0"
        finally:
            child.stop(guard)


def _wait_until_it_listens(child: Child, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection((LOOPBACK, port), 1).close()
        except OSError:
            assert child.is_running(), child.log_tail()
            assert time.monotonic() < deadline, "redis-server does not listen"
            time.sleep(0.05)
        else:
            return
