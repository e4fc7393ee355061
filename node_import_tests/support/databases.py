"""Fresh, migrated databases, fast: each is a copy of one that was migrated once."""

from __future__ import annotations

import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from node_import.database.migrations import migrate

IMPORTER = "ni_importer"


@dataclass(frozen=True, slots=True)
class TestDatabase:
    """One migrated database. The DSNs are URLs where the server was given as one."""

    __test__ = False

    name: str
    admin_dsn: str = field(repr=False)
    importer_dsn: str = field(repr=False)

    def connect(self) -> psycopg.Connection:
        """As the superuser, autocommit: for looking at what the importer did."""
        return psycopg.connect(self.admin_dsn, autocommit=True)


class DatabaseFactory:
    """Makes databases on one server from a migrated template."""

    def __init__(self, admin_dsn: str, importer_password: str) -> None:
        self._admin_dsn = admin_dsn
        self._importer_password = importer_password
        self._template = _new_name("template")

    def migrate_template(self) -> None:
        """Once a session."""
        template = self._database(self._template)
        self._execute("CREATE DATABASE {}", sql.Identifier(self._template))
        migrate(template.admin_dsn, template.importer_dsn)
        # The role is older than this session on a server from outside; its password is not known.
        self._execute(
            "ALTER ROLE {} PASSWORD {}",
            sql.Identifier(IMPORTER),
            sql.Literal(self._importer_password),
        )

    def drop_template(self) -> None:
        """At the end of the session."""
        self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", sql.Identifier(self._template))

    @contextmanager
    def database(self) -> Iterator[TestDatabase]:
        """A fresh one, dropped afterwards."""
        made = self._database(_new_name("db"))
        self._execute(
            "CREATE DATABASE {} TEMPLATE {}",
            sql.Identifier(made.name),
            sql.Identifier(self._template),
        )
        try:
            yield made
        finally:
            self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", sql.Identifier(made.name))

    def empty_database(self) -> TestDatabase:
        """A name nobody has used, for tests of migrations; the database is not made yet."""
        return self._database(_new_name("empty"))

    def _database(self, name: str) -> TestDatabase:
        admin = _with(self._admin_dsn, dbname=name)
        importer = _with(admin, user=IMPORTER, password=self._importer_password)
        return TestDatabase(name, admin, importer)

    def _execute(self, statement: str, *parts: sql.Composable) -> None:
        with psycopg.connect(self._admin_dsn, autocommit=True) as conn:
            conn.execute(sql.SQL(statement).format(*parts))


@contextmanager
def hung_backend(database: TestDatabase, pid: int) -> Iterator[None]:
    """The server's process of one connection hangs: it neither works nor ends."""
    title = Path(f"/proc/{pid}/cmdline")
    if not title.exists() or database.name not in title.read_text():
        pytest.skip("the server's processes are not on this machine")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _with(dsn: str, **changes: str) -> str:
    return make_conninfo(**{**conninfo_to_dict(dsn), **changes})


def _new_name(kind: str) -> str:
    return f"ni_test_{kind}_{uuid.uuid4().hex[:12]}"
