"""The work that an import makes, in numbers that do not depend on time or on the machine."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from node_import.database.migrations import migrate
from node_import.stack.child import Guardian
from node_import.stack.credentials import stored_credentials
from node_import.stack.layout import Layout
from node_import.stack.ports import free_port
from node_import.stack.postgres import DATABASE, PostgresServer
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.services import THROWAWAY

TABLES = ("nodes", "node_metadata", "import_ledger", "nodes_import_job", "job_status_event")
PATIENCE = 60.0
# Nothing writes but the import, so that bytes of WAL are bytes of the import.
STILL = {
    **THROWAWAY,
    "autovacuum": "off",
    "checkpoint_timeout": "1d",
    "max_wal_size": "8GB",
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.max": "1000",
}
# Sending more of the same COPY asks nothing of the server.
NO_ROUND_TRIP = frozenset({"copy_to"})

_STATEMENTS = """
SELECT query, sum(calls)::int FROM pg_stat_statements AS s JOIN pg_database AS d ON d.oid = s.dbid
WHERE d.datname = %s GROUP BY query
"""
_WRITTEN = """
SELECT relname, n_tup_ins::int, n_tup_upd::int, n_tup_del::int FROM pg_stat_user_tables
WHERE relname = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class Work:
    """What one import made. `statements` has the calls of each statement, by its text."""

    statements: Mapping[str, int]
    round_trips: int
    connections: int
    wal_bytes: int
    rows_written: Mapping[str, tuple[int, int, int]]

    def as_document(self) -> dict[str, Any]:
        """What is recorded of it."""
        return {
            "statements": sum(self.statements.values()),
            "round_trips": self.round_trips,
            "connections": self.connections,
            "wal_bytes": self.wal_bytes,
            "rows_written": {name: list(rows) for name, rows in self.rows_written.items()},
        }


class StillServer:
    """A server of its own on which nothing happens but one import at a time."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self.database = TestDatabase(DATABASE, server.admin_dsn, server.importer_dsn)

    @contextmanager
    def watched(self) -> Iterator[Callable[[], Work]]:
        """Within the block an import runs; what is yielded tells afterwards what it made."""
        self._wait_until_alone()
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as outside:
            outside.execute("SELECT pg_stat_statements_reset()")
            start = self._position(outside)
            connections = self._connections(outside)
            written = self._written()
            with counted_round_trips() as round_trips:

                def work() -> Work:
                    self._wait_until_alone()
                    return Work(
                        statements=dict(outside.execute(_STATEMENTS, [DATABASE]).fetchall()),
                        round_trips=round_trips.total(),
                        connections=self._connections(outside) - connections,
                        wal_bytes=self._position(outside) - start,
                        rows_written=_difference(self._written(), written),
                    )

                yield work

    def _dsn(self, database: str) -> str:
        return self._server.admin_dsn.rpartition("/")[0] + f"/{database}"

    def _wait_until_alone(self) -> None:
        """A session hands in its statistics when it ends, a moment after its client has left."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
        deadline = time.monotonic() + PATIENCE
        with psycopg.connect(self._dsn("postgres"), autocommit=True) as conn:
            while conn.execute(query, [DATABASE]).fetchone() != (0,):
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def _position(self, conn: psycopg.Connection) -> int:
        row = conn.execute("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint").fetchone()
        assert row is not None
        return int(row[0])

    def _connections(self, conn: psycopg.Connection) -> int:
        query = "SELECT sessions::int FROM pg_stat_database WHERE datname = %s"
        row = conn.execute(query, [DATABASE]).fetchone()
        assert row is not None
        return int(row[0])

    def _written(self) -> dict[str, tuple[int, int, int]]:
        with psycopg.connect(self._dsn(DATABASE), autocommit=True) as conn:
            found = conn.execute(_WRITTEN, [list(TABLES)]).fetchall()
        self._wait_until_alone()
        return {name: (inserted, updated, deleted) for name, inserted, updated, deleted in found}


@contextmanager
def still_server(folder: Path) -> Iterator[StillServer]:
    """A migrated database, in a cluster of its own with pg_stat_statements."""
    layout = Layout(folder)
    layout.create()
    guard = Guardian()
    port = free_port(random.randrange(20_000, 32_000))
    server = PostgresServer(layout, port, stored_credentials(layout), STILL)
    try:
        server.start(guard)
        migrate(server.admin_dsn, server.importer_dsn)
        with psycopg.connect(server.admin_dsn.rpartition("/")[0] + "/postgres") as conn:
            conn.execute("CREATE EXTENSION pg_stat_statements")
        yield StillServer(server)
    finally:
        server.child.stop(guard)
        guard.close()


@contextmanager
def counted_round_trips() -> Iterator[Counter[str]]:
    """How often any connection of this process waits for the server's answer, by what it does."""
    counts: Counter[str] = Counter()
    lock = threading.Lock()
    wait = psycopg.Connection.wait

    def counting(self: psycopg.Connection, gen: Any, *args: Any, **kwargs: Any) -> Any:
        name = gen.__name__
        if name not in NO_ROUND_TRIP:
            with lock:
                counts[name] += 1
        return wait(self, gen, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Connection, "wait", counting)
        yield counts


def _difference(
    after: Mapping[str, tuple[int, int, int]], before: Mapping[str, tuple[int, int, int]]
) -> dict[str, tuple[int, int, int]]:
    return {
        name: (
            after[name][0] - before[name][0],
            after[name][1] - before[name][1],
            after[name][2] - before[name][2],
        )
        for name in sorted(after)
    }
