"""Nodes and their metadata stay in step, whoever changes them."""

from __future__ import annotations

from uuid import UUID

import pytest

from node_import.database import Database
from node_import_tests.integration.database.test_isolation import acting_as, add_node
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.tenants import Tenant, rows


def hashes(database: TestDatabase) -> dict[UUID, int | None]:
    """What each node remembers of its last import."""
    return dict(rows(database, "SELECT id, content_hash FROM nodes"))


def test_a_deleted_node_takes_its_metadata_with_it(
    importer: Database, acme: Tenant, bolt: Tenant, database: TestDatabase
) -> None:
    """Without a foreign key; other nodes keep theirs and their hash."""
    gone = [add_node(importer, acme, f"r{number}") for number in range(3)]
    kept = add_node(importer, bolt)
    with database.connect() as conn:
        conn.execute("DELETE FROM nodes WHERE id = ANY(%s)", [gone])
    assert rows(database, "SELECT node_id FROM node_metadata") == [(kept,)]
    assert hashes(database) == {kept: 42}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE node_metadata SET metadata_value = 'x' WHERE node_id = %s",
        "DELETE FROM node_metadata WHERE node_id = %s",
        (
            "INSERT INTO node_metadata (node_id, domain_id, metadata_key, metadata_value)"
            " SELECT id, domain_id, 'new', 'x' FROM nodes WHERE id = %s"
        ),
    ],
)
def test_metadata_that_somebody_else_writes(
    importer: Database, acme: Tenant, database: TestDatabase, statement: str
) -> None:
    """The hash no longer says what the node holds, so it is forgotten; that node's alone."""
    changed, untouched = add_node(importer, acme, "a"), add_node(importer, acme, "b")
    with database.connect() as conn:
        conn.execute(statement, [changed])  # type: ignore[arg-type]
    assert hashes(database) == {changed: None, untouched: 42}


def test_metadata_that_moves_to_another_node(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """Both nodes hold something else now."""
    first, second = add_node(importer, acme, "a"), add_node(importer, acme, "b")
    with database.connect() as conn:
        conn.execute(
            "UPDATE node_metadata SET node_id = %s, metadata_key = 'moved' WHERE node_id = %s",
            [second, first],
        )
    assert hashes(database) == {first: None, second: None}


def test_the_importers_own_writing_keeps_the_hash(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """It writes the hash itself."""
    node = add_node(importer, acme)
    with importer.tenant(acme.domain_id) as conn:
        conn.execute("UPDATE node_metadata SET metadata_value = 'x'")
    assert hashes(database) == {node: 42}


def test_setting_processed_keeps_the_hash(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """The matcher does not change what was imported."""
    node = add_node(importer, acme)
    with acting_as(database, "ni_matcher", acme) as conn:
        conn.execute("UPDATE nodes SET processed = true")
    assert hashes(database) == {node: 42}
