"""The connections of a loader: made once, with their settings and temporary tables."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence

import psycopg

from node_import.database import Connection, Database
from node_import.database.failures import translated_failures
from node_import.loading.value_tables import ValueTable
from node_import.sql import statements


class LoadingSession:
    """One connection, ready for slices; used by one thread at a time."""

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self._widths: dict[str, int] = {}
        # Prepared plans would outlive the state of the tables that they were made for: a
        # sequential scan of an empty `nodes`, say.
        conn.prepare_threshold = None
        with translated_failures():
            conn.execute(statements("loading.sql")["prepare_connection"])

    def make_tables(self, tables: Sequence[ValueTable]) -> None:
        """See to it that the tables for values are there, as wide as this job needs them."""
        for table in tables:
            if self._widths.get(table.name) != len(table.keys):
                self.conn.execute(table.statement("drop_values_table"))
                self.conn.execute(table.definition())
                self._widths[table.name] = len(table.keys)


class SessionPool:
    """Sessions that threads borrow; there are never more than threads that borrow at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._idle: list[LoadingSession] = []
        self._busy: set[LoadingSession] = set()

    def borrow(self) -> LoadingSession:
        """A session that nobody else uses.

        Raises:
            TransientError: DATABASE_UNAVAILABLE.
        """
        with self._lock:
            session = self._idle.pop() if self._idle else None
        session = session or LoadingSession(self._database.connect())
        with self._lock:
            self._busy.add(session)
        return session

    def give_back(self, session: LoadingSession, *, keep: bool) -> None:
        """End the use of a session; `keep` it for others, or close it."""
        with self._lock:
            self._busy.discard(session)
            if keep and not session.conn.closed:
                self._idle.append(session)
                return
        session.conn.close()

    def cancel_queries(self) -> None:
        """End what is running now; the threads see a QueryCanceled."""
        with self._lock:
            busy = list(self._busy)
        for session in busy:
            with contextlib.suppress(psycopg.Error):
                session.conn.cancel_safe(timeout=5)

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for session in idle:
            session.conn.close()
