"""A running import says that it is alive; `node_import.jobs.recovery` listens."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from node_import.database import Connection, Database
from node_import.database.connections import operator_transaction
from node_import.database.cutting import cut_after
from node_import.errors import NodeImportError
from node_import.sql import statements

# A beat that hangs in an outage must not hold up a step that is done.
JOIN_SECONDS = 5.0
# A beat that is not answered after so long is tried over another connection.
ANSWER_SECONDS = 5.0

log = logging.getLogger(__name__)


@contextmanager
def beating(database: Database, run_id: str, seconds: float) -> Iterator[None]:
    """While the block works, a thread beats for the run every `seconds`, at once to begin with.

    An outage of the database stops neither the block nor the thread: it connects again.
    """
    stop = threading.Event()
    thread = threading.Thread(
        target=_beat_until, args=(stop, database, run_id, seconds), name="heartbeat", daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(JOIN_SECONDS)


def beat(conn: Connection, run_id: str) -> None:
    """One beat, as its own transaction."""
    with operator_transaction(conn):
        conn.execute(statements("jobs.sql")["beat"], {"run_id": run_id})


def beat_once(database: Database, run_id: str) -> None:
    """One beat; an outage of the database is a beat missed."""
    try:
        with database.session() as conn:
            beat(conn, run_id)
    except (psycopg.Error, NodeImportError) as error:
        log.warning("the heartbeat of run %s missed a beat: %s", run_id, error)


def _beat_until(stop: threading.Event, database: Database, run_id: str, seconds: float) -> None:
    conn: Connection | None = None
    while True:
        try:
            conn = conn or database.borrow()
            # A server that hangs may have been replaced by another, to which this run is silent.
            with cut_after(conn, ANSWER_SECONDS):
                beat(conn, run_id)
        except (psycopg.Error, NodeImportError) as error:
            log.warning("the heartbeat of run %s missed a beat: %s", run_id, error)
            if conn is not None:
                conn.close()
            conn = None
        if stop.wait(seconds):
            break
    if conn is not None:
        database.give_back(conn)
