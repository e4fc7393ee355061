"""Connections to PostgreSQL, and in whose name a transaction acts.

The importer logs in as `ni_importer`, which owns nothing. What concerns all tenants (jobs,
ledger, outbox, positions) it does as `ni_operator`; what concerns one tenant's nodes it does as
itself with `app.domain_id` set. Both hold for one transaction and are gone with it.
"""

from __future__ import annotations

import os
import select
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row

from node_import.database.cutting import cut_after
from node_import.database.failures import translated_failures
from node_import.settings import Settings

Connection: TypeAlias = psycopg.Connection[DictRow]

CONNECT_SECONDS = 10
# A server whose machine or network is gone confirms nothing: the connection is lost after so long,
# as it is while it idles (30 s, and three times 10 s).
UNCONFIRMED_SECONDS = 60
CLIENT_CHECK_SECONDS = 2
# So much longer than two of the longest statements may a transaction take.
GRACE_SECONDS = 15.0

# Longer than that none is kept: something on the way to the server may have forgotten it.
MOST_IDLE_SECONDS = 10.0


class Database:
    """One PostgreSQL database, as one login role. Safe to share between threads.

    `statement_timeout` and `lock_timeout` are seconds, for every statement; the loader gives its
    own less, by the size of what they do. So many connections as `kept` says wait for the next who
    borrows one; they are closed with the object.
    """

    def __init__(
        self,
        dsn: str,
        *,
        statement_timeout: float = 300.0,
        lock_timeout: float = 30.0,
        kept: int = 0,
    ) -> None:
        self.statement_timeout = statement_timeout
        self.lock_timeout = lock_timeout
        self._dsn = dsn
        self._most_kept = kept
        self._kept: list[_Kept] = []
        self._lock = threading.Lock()
        weakref.finalize(self, _close, self._kept)
        # A client that vanished without a word must not keep its locks: keepalives find out.
        self._options: dict[str, Any] = {
            "connect_timeout": CONNECT_SECONDS,
            "application_name": "node-import",
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": UNCONFIRMED_SECONDS * 1000,
            # The other way round: a statement, and a wait for a lock above all, ends soon after
            # its client did, and lets go what the transaction holds.
            "options": f"-c statement_timeout={int(statement_timeout * 1000)}"
            f" -c lock_timeout={int(lock_timeout * 1000)}"
            f" -c client_connection_check_interval={CLIENT_CHECK_SECONDS * 1000}"
            " -c idle_in_transaction_session_timeout=600000",
        }

    @classmethod
    def from_settings(cls, settings: Settings, *, kept: int = 0) -> Database:
        """The importer's database."""
        return cls(
            settings.postgres_dsn.get_secret_value(),
            statement_timeout=settings.statement_timeout,
            lock_timeout=settings.lock_timeout,
            kept=kept,
        )

    def connect(self) -> Connection:
        """A new connection in autocommit mode: use `conn.transaction()`. Rows are dicts.

        Raises:
            TransientError: DATABASE_UNAVAILABLE when no connection can be had.
        """
        with translated_failures():
            return psycopg.connect(
                self._dsn, autocommit=True, row_factory=dict_row, **self._options
            )

    def borrow(self) -> Connection:
        """A connection that was kept, or a new one: `give_back` or close it.

        Nothing is left on it: what is set, is set for a transaction.

        Raises:
            TransientError: DATABASE_UNAVAILABLE when no connection can be had.
        """
        while True:
            with self._lock:
                kept = self._kept.pop() if self._kept else None
            if kept is None:
                return self.connect()
            if kept.process != os.getpid():
                continue  # a forked child's copy of its parent's: not even to be closed
            if kept.is_usable():
                return kept.conn
            kept.conn.close()

    def give_back(self, conn: Connection) -> None:
        """Keep a connection for the next who borrows, or close it."""
        is_clean = not conn.closed and conn.info.transaction_status is TransactionStatus.IDLE
        with self._lock:
            if is_clean and len(self._kept) < self._most_kept:
                self._kept.append(_Kept(conn, time.monotonic(), os.getpid()))
                return
        conn.close()

    @contextmanager
    def session(self) -> Iterator[Connection]:
        """A borrowed connection for a block; after an error it is closed."""
        conn = self.borrow()
        try:
            yield conn
        except BaseException:
            conn.close()
            raise
        self.give_back(conn)

    def close(self) -> None:
        """Close what is kept; the next who borrows gets a new connection."""
        with self._lock:
            _close(self._kept)

    @contextmanager
    def limited(self, conn: Connection) -> Iterator[None]:
        """The block is one piece of work over `conn`, which is cut when the server hangs.

        PostgreSQL itself ends a statement after `statement_timeout`, so whoever still waits after
        two of them waits for a server that will not answer.

        Raises:
            TransientError: DATABASE_UNAVAILABLE or TIMEOUT.
        """
        with translated_failures(), cut_after(conn, 2 * self.statement_timeout + GRACE_SECONDS):
            yield

    @contextmanager
    def operator(self) -> Iterator[Connection]:
        """One transaction on a borrowed connection, as `ni_operator`: all tenants, no nodes."""
        with self.session() as conn, self.limited(conn), operator_transaction(conn):
            yield conn

    @contextmanager
    def tenant(self, domain_id: UUID | str) -> Iterator[Connection]:
        """One transaction on a borrowed connection, bound to one tenant."""
        with self.session() as conn, self.limited(conn), tenant_transaction(conn, domain_id):
            yield conn


class _Kept(NamedTuple):
    """A connection that nobody uses, since when, and whose it is."""

    conn: Connection
    since: float
    process: int

    def is_usable(self) -> bool:
        """Not if the server has hung up, or if it may have been forgotten on the way there."""
        if time.monotonic() - self.since > MOST_IDLE_SECONDS:
            return False
        # A server says nothing unasked but goodbye. (`select` itself takes no number above 1,023.)
        socket = select.poll()
        socket.register(self.conn.fileno(), select.POLLIN)
        return not socket.poll(0)


def _close(kept: list[_Kept]) -> None:
    for one in kept:
        if one.process == os.getpid():
            one.conn.close()
    kept.clear()


@contextmanager
def operator_transaction(conn: Connection) -> Iterator[None]:
    """A transaction that acts as `ni_operator`."""
    with conn.transaction():
        conn.execute("SET LOCAL ROLE ni_operator")
        yield


@contextmanager
def tenant_transaction(conn: Connection, domain_id: UUID | str) -> Iterator[None]:
    """A transaction that sees and writes the rows of one tenant alone."""
    with conn.transaction():
        conn.execute("SELECT set_config('app.domain_id', %s, true)", [str(domain_id)])
        yield
