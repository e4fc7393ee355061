"""The heartbeat of a run, through thick and thin."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from node_import.database import Database
from node_import.jobs import heartbeat
from node_import.jobs.heartbeat import beating
from node_import_tests.support.databases import TestDatabase, hung_backend
from node_import_tests.support.tenants import rows


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until it holds; a minute is for ever."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def beats(database: TestDatabase) -> list[tuple[object, ...]]:
    """The last beat of every run."""
    return rows(database, "SELECT dagster_run_id, beaten_at FROM run_heartbeat")


def test_it_beats_while_the_step_works(importer: Database, database: TestDatabase) -> None:
    """At once, and again; when the step is done its thread is gone."""
    with beating(importer, "run", 0.01):
        wait_for(lambda: bool(beats(database)))
        first = beats(database)
        wait_for(lambda: beats(database) != first)
    assert not [thread for thread in threading.enumerate() if thread.name == "heartbeat"]
    last = beats(database)
    assert beats(database) == last


def test_it_survives_a_lost_connection(importer: Database, database: TestDatabase) -> None:
    """It connects again, and the step learns nothing of it."""
    with beating(importer, "run", 0.01):
        wait_for(lambda: bool(beats(database)))
        killed = rows(
            database,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'ni_importer' AND datname = current_database()",
        )
        assert killed
        [(_, before)] = rows(database, "SELECT 1, now()")
        wait_for(lambda: beats(database)[0][1] > before)


def test_it_survives_a_connection_that_hangs(
    importer: Database, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run does not count as dead because one of the server's processes gives no answer."""
    monkeypatch.setattr(heartbeat, "ANSWER_SECONDS", 0.3)
    with beating(importer, "run", 0.1):
        wait_for(lambda: bool(beats(database)))
        before = beats(database)
        wait_for(lambda: beats(database) != before)
        [(pid,)] = rows(
            database,
            "SELECT pid FROM pg_stat_activity"
            " WHERE usename = 'ni_importer' AND datname = current_database()",
        )
        with hung_backend(database, pid):
            before = beats(database)
            wait_for(lambda: beats(database) != before)


def test_it_survives_a_database_that_is_away() -> None:
    """A step may work on without a database; it will learn of it where it needs one."""
    nowhere = Database("postgresql://nobody@127.0.0.1:9/none")
    with beating(nowhere, "run", 0.01):
        time.sleep(0.05)


def test_errors_of_the_step_go_through(importer: Database) -> None:
    """The heart stops and the error goes on."""
    with pytest.raises(ZeroDivisionError), beating(importer, "run", 60):
        _ = 1 / 0
