"""Connections that are kept: one after the other uses them, and nobody gets a dead one."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psycopg
import pytest

from node_import.database import Connection, Database, connections
from node_import_tests.support.databases import TestDatabase


@pytest.fixture
def importers(database: TestDatabase) -> Iterator[Database]:
    """The importer's database, with two connections kept."""
    made = Database(database.importer_dsn, kept=2)
    yield made
    made.close()


def backend(conn: Connection) -> int:
    """The server's process behind a connection."""
    return conn.info.backend_pid


def backends(database: TestDatabase) -> int:
    """How many connections the server has of the importer."""
    query = "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'node-import'"
    query += " AND datname = current_database()"
    with psycopg.connect(database.admin_dsn) as conn:
        row = conn.execute(query).fetchone()
    return row[0] if row else 0


def test_one_after_the_other_uses_the_same(importers: Database) -> None:
    """Whoever they act for, and each finds it as if it were new."""
    with importers.operator() as conn:
        first = backend(conn)
        role = conn.execute("SELECT current_user AS name").fetchone()
    with importers.tenant("00000000-0000-0000-0000-000000000001") as conn:
        assert backend(conn) == first
    with importers.session() as conn:
        assert backend(conn) == first
        query = "SELECT current_user AS name, current_setting('app.domain_id', true) AS domain"
        row = conn.execute(query).fetchone()
    assert role == {"name": "ni_operator"}
    assert row is not None
    assert row["name"] != "ni_operator"
    assert not row["domain"]


def test_two_at_a_time_have_one_each(importers: Database) -> None:
    """Of which two are kept, and more are closed."""
    borrowed = [importers.borrow() for _ in range(3)]
    assert len({backend(conn) for conn in borrowed}) == 3
    for conn in borrowed:
        importers.give_back(conn)
    assert [conn.closed for conn in borrowed] == [False, False, True]


def test_after_an_error_a_connection_is_not_used_again(importers: Database) -> None:
    """Whatever it was: nobody has to think about what it left."""
    with pytest.raises(ZeroDivisionError), importers.session() as conn:
        raise ZeroDivisionError
    assert conn.closed
    with importers.session() as other:
        assert other is not conn


def test_a_connection_in_a_transaction_is_not_kept(importers: Database) -> None:
    """Its locks go at once."""
    conn = importers.borrow()
    conn.execute("BEGIN")
    importers.give_back(conn)
    assert conn.closed


def test_nobody_gets_a_connection_that_the_server_ended(
    importers: Database, database: TestDatabase
) -> None:
    """A server that was restarted between two steps costs neither of them a try."""
    with importers.session() as conn:
        first = backend(conn)
    with psycopg.connect(database.admin_dsn) as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
    with importers.operator() as conn:
        assert backend(conn) != first


def test_nobody_gets_a_connection_that_idled_for_long(
    importers: Database, database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something between here and there may have forgotten it."""
    with importers.session() as conn:
        first = backend(conn)
    monkeypatch.setattr(connections, "MOST_IDLE_SECONDS", 0.0)
    with importers.session() as conn:
        assert backend(conn) != first
    assert backends(database) == 1


def test_a_forked_process_has_its_own(importers: Database) -> None:
    """And leaves its parent's as they are."""
    with importers.session() as conn:
        first = backend(conn)
    child = os.fork()
    if child == 0:  # nothing of pytest's may run here, whatever happens
        status = 1
        try:
            with importers.session() as conn:
                status = 0 if backend(conn) != first else 2
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with importers.session() as conn:
        assert backend(conn) == first
        assert conn.execute("SELECT 1 AS one").fetchone() == {"one": 1}
