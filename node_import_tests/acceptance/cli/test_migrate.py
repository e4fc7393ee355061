"""`node-import migrate`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

from node_import_tests.support.command_line import CommandLine
from node_import_tests.support.databases import DatabaseFactory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from node_import_tests.support.databases import TestDatabase


@pytest.fixture
def empty(database_factory: DatabaseFactory, database: TestDatabase) -> Iterator[TestDatabase]:
    """A database in which nothing has been made yet."""
    made = database_factory.empty_database()
    name = sql.Identifier(made.name)
    with database.connect() as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(name))
        yield made
        conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def test_an_empty_database_becomes_usable(cli: CommandLine, empty: TestDatabase) -> None:
    """After `migrate` the importer's own commands work; a second one has nothing to do."""
    cli.variables["NODE_IMPORT_POSTGRES_ADMIN_DSN"] = empty.admin_dsn
    cli.variables["NODE_IMPORT_POSTGRES_DSN"] = empty.importer_dsn
    assert "0001_schema" in cli.document("migrate")["applied"]
    assert cli.document("migrate") == {"applied": []}
    assert cli.document("domain", "list") == []
    assert "nothing to apply" in cli("migrate").out


def test_without_an_admin_it_says_which_setting_is_missing(cli: CommandLine) -> None:
    """Migrations need a role that the importer's own is not."""
    del cli.variables["NODE_IMPORT_POSTGRES_ADMIN_DSN"]
    assert "NODE_IMPORT_POSTGRES_ADMIN_DSN" in cli.refusal("migrate")


def test_a_database_that_does_not_answer_is_no_wrong_usage(cli: CommandLine) -> None:
    """Exit code 1 and one line, without the password."""
    dsn = "postgresql://postgres:hunter2@127.0.0.1:1/none"
    said = cli.refusal("migrate", status=1, NODE_IMPORT_POSTGRES_ADMIN_DSN=dsn)
    assert "DATABASE_UNAVAILABLE" in said
    assert "hunter2" not in said
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(dsn)


def test_a_database_without_schema_says_to_migrate(cli: CommandLine, empty: TestDatabase) -> None:
    """The first command on a fresh database names the one that comes before it."""
    said = cli.refusal("domain", "list", NODE_IMPORT_POSTGRES_DSN=empty.importer_dsn)
    assert "node-import migrate" in said
