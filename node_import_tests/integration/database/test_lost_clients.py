"""A client that is gone must not keep others waiting."""

from __future__ import annotations

import os
import socket
import time

import psycopg

from node_import.database import Database
from node_import.database.connections import operator_transaction
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.tenants import rows

WAITING = (
    "SELECT pid FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


def waiting(database: TestDatabase, *, some: bool) -> None:
    """Until some session waits for a lock, or none does."""
    deadline = time.monotonic() + 30
    while bool(rows(database, WAITING)) is not some:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_statement_ends_soon_after_its_client(database: TestDatabase) -> None:
    """A killed worker's session lets go of what it holds, though it waits for a lock itself."""
    with psycopg.connect(database.admin_dsn) as somebody:
        somebody.execute("LOCK TABLE job_status_event IN ACCESS EXCLUSIVE MODE")
        worker = Database(database.importer_dsn).connect()
        with operator_transaction(worker):
            worker.execute("LOCK TABLE run_heartbeat IN SHARE ROW EXCLUSIVE MODE")
            worker.pgconn.send_query(b"SELECT count(*) FROM job_status_event")
            worker.pgconn.flush()
            waiting(database, some=True)
            with socket.socket(fileno=os.dup(worker.fileno())) as line:
                line.shutdown(socket.SHUT_RDWR)
            waiting(database, some=False)
            worker.close()
    with database.connect() as conn, conn.transaction():
        conn.execute("SET lock_timeout = '5s'")
        conn.execute("LOCK TABLE run_heartbeat IN ACCESS EXCLUSIVE MODE")
