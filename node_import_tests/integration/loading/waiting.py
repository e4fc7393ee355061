"""Loads that are held at a certain point: they wait there for a lock that the test has."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg

from node_import.loading import BatchResult
from node_import_tests.integration.loading.imports import Imports, Staged

BLOCKED = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
    " AND usename = 'ni_importer' AND wait_event_type = 'Lock'"
)
PATIENCE_SECONDS = 30


@contextmanager
def other_writer(imports: Imports) -> Iterator[psycopg.Connection]:
    """A transaction of somebody else; the test commits it, or it is rolled back at the end."""
    with psycopg.connect(imports.database.admin_dsn) as conn:
        yield conn
        conn.rollback()


@contextmanager
def loading(imports: Imports, staged: Staged, **options: Any) -> Iterator[Future[BatchResult]]:
    """A load in a thread of its own."""
    with ThreadPoolExecutor(1) as threads:
        yield threads.submit(imports.load, staged, **options)


def until_blocked(imports: Imports, *, besides: int = 0) -> list[int]:
    """Wait until a loader waits for a lock; the server's process ids, without `besides`."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        blocked = [pid for (pid,) in imports.query(BLOCKED) if pid != besides]
        if blocked:
            return blocked
        time.sleep(0.01)
    raise TimeoutError("no loader waits for a lock")
