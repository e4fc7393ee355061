"""The connections of a loader: made once, with their settings and temporary tables, and watched."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import psycopg

from node_import.database import Connection, Database
from node_import.database.cutting import Cutter
from node_import.database.failures import translated_failures
from node_import.loading.time_limits import TimeLimits, time_limits
from node_import.loading.value_tables import ValueTable
from node_import.sql import statements

# To make the temporary tables of a connection.
PREPARATION_SECONDS = 60.0
CANCEL_SECONDS = 5.0


class LoadingSession:
    """One connection; used by one thread at a time, and cut by another when it is overdue."""

    def __init__(self, conn: Connection, clock: Callable[[], float] = time.monotonic) -> None:
        self.conn = conn
        self._clock = clock
        self._deadline: float | None = None
        self._widths: dict[str, int] = {}
        self._is_prepared = False
        self._cutter = Cutter(conn)
        # Prepared plans would outlive the state of the tables that they were made for: a
        # sequential scan of an empty `nodes`, say.
        conn.prepare_threshold = None

    def prepare(self) -> None:
        """Settings and temporary tables, before the first use.

        Raises:
            TransientError: DATABASE_UNAVAILABLE.
        """
        if self._is_prepared:
            return
        with self.limited(PREPARATION_SECONDS), translated_failures():
            self.conn.execute(statements("loading.sql")["prepare_connection"])
        self._is_prepared = True

    @property
    def was_cut(self) -> bool:
        """Whether its time was over, or the load's."""
        return self._cutter.has_cut

    def make_tables(self, tables: Sequence[ValueTable]) -> None:
        """See to it that the tables for values are there, as wide as this job needs them."""
        for table in tables:
            if self._widths.get(table.name) != len(table.keys):
                self.conn.execute(table.statement("drop_values_table"))
                self.conn.execute(table.definition())
                self._widths[table.name] = len(table.keys)

    @contextlib.contextmanager
    def limited(self, seconds: float) -> Iterator[None]:
        """The block uses the connection for so long at most, or it is cut."""
        self._deadline = self._clock() + seconds
        try:
            yield
        finally:
            self._deadline = None

    @contextlib.contextmanager
    def at_rest(self) -> Iterator[None]:
        """The block, inside a `limited` one, does not use the connection: its time stands still."""
        deadline, self._deadline = self._deadline, None
        began = self._clock()
        try:
            yield
        finally:
            if deadline is not None:
                self._deadline = deadline + self._clock() - began

    def is_overdue(self) -> bool:
        """Whether its time is over."""
        deadline = self._deadline
        return deadline is not None and self._clock() > deadline

    def cut(self) -> None:
        """Break the connection under its thread, which sees an OperationalError at once.

        Whatever the server does: a hung one answers neither the statement nor a cancel.
        """
        self._cutter.cut()

    def close(self) -> None:
        """Let the connection go."""
        self.conn.close()
        self._cutter.close()


class SessionPool:
    """Sessions that threads borrow; there are never more than threads that borrow at once."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._lock = threading.Lock()
        self._idle: list[LoadingSession] = []
        self._busy: set[LoadingSession] = set()

    def limits(self, rows: int, metadata_keys: int) -> TimeLimits:
        """How long work on so many rows may take here."""
        return time_limits(
            rows,
            metadata_keys,
            most_statement=self.database.statement_timeout,
            most_lock=self.database.lock_timeout,
        )

    def borrow(self) -> LoadingSession:
        """A session that nobody else uses.

        Raises:
            TransientError: DATABASE_UNAVAILABLE.
        """
        with self._lock:
            session = self._idle.pop() if self._idle else None
        session = session or LoadingSession(self.database.connect())
        with self._lock:
            self._busy.add(session)
        try:
            session.prepare()
        except BaseException:
            self.give_back(session, keep=False)
            raise
        return session

    def give_back(self, session: LoadingSession, *, keep: bool) -> None:
        """End the use of a session; `keep` it for others, or close it."""
        with self._lock:
            self._busy.discard(session)
            if keep and not session.conn.closed and not session.was_cut:
                self._idle.append(session)
                return
        session.close()

    def cancel_queries(self) -> None:
        """End what is running now; the threads see a QueryCanceled."""
        for session in self._in_use():
            with contextlib.suppress(psycopg.Error):
                session.conn.cancel_safe(timeout=CANCEL_SECONDS)

    def cut_overdue(self) -> None:
        """Cut the connections whose time is over."""
        for session in self._in_use():
            if session.is_overdue():
                session.cut()

    def cut_all(self) -> None:
        """Cut all connections that are in use."""
        for session in self._in_use():
            session.cut()

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for session in idle:
            session.close()

    def _in_use(self) -> list[LoadingSession]:
        with self._lock:
            return list(self._busy)
