"""A server that takes what is sent and never answers: nobody waits for it for ever."""

from __future__ import annotations

import pytest

from node_import.database import Database, connections
from node_import.errors import TransientError
from node_import_tests.support.databases import TestDatabase, hung_backend


def test_a_transaction_ends_without_an_answer(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After twice the time that PostgreSQL itself would have allowed the statement."""
    monkeypatch.setattr(connections, "GRACE_SECONDS", 0.0)
    impatient = Database(database.importer_dsn, statement_timeout=0.5)
    with (
        pytest.raises(TransientError, match="PostgreSQL"),
        impatient.operator() as conn,
        hung_backend(database, conn.info.backend_pid),
    ):
        conn.execute("SELECT count(*) FROM nodes_import_job")
