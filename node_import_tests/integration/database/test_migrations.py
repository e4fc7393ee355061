"""Migrations: each once, never edited, and never half."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from node_import.database import migrations
from node_import.database.migrations import migrate
from node_import.errors import TransientError, UsageError
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.tenants import rows


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of `sql/migrations/` that a test may change; `migrate` reads it."""
    copy = tmp_path / "migrations"
    copy.mkdir()
    for path in (migrations.sql_folder() / "migrations").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(migrations, "sql_folder", lambda: tmp_path)
    return copy


def up(database: TestDatabase) -> list[int]:
    """Migrate; which versions were applied."""
    applied = migrate(database.admin_dsn, database.importer_dsn)
    return [migration.version for migration in applied]


def test_an_empty_database_gets_everything(empty: TestDatabase) -> None:
    """All tables are there, and they belong to a role that cannot log in."""
    seen: list[str] = []
    migrate(empty.admin_dsn, empty.importer_dsn, on_applied=lambda m: seen.append(m.name))
    assert seen[0] == "schema"
    owners = rows(empty, "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
    assert owners == [("ni_owner",)]
    assert rows(empty, "SELECT count(*) FROM nodes") == [(0,)]


def test_a_second_time_changes_nothing(empty: TestDatabase) -> None:
    """`migrate` is safe to repeat."""
    assert up(empty)
    assert up(empty) == []


def test_two_at_once(empty: TestDatabase) -> None:
    """One applies, the others wait and find it done."""
    with ThreadPoolExecutor(3) as pool:
        applied = list(pool.map(lambda _: up(empty), range(3)))
    assert sorted(applied)[:2] == [[], []]
    assert sorted(applied)[2]


def test_an_edited_migration_is_refused(empty: TestDatabase, folder: Path) -> None:
    """It says which one; line ends that git changed are no edit."""
    up(empty)
    schema = folder / "0001_schema.sql"
    schema.write_bytes(schema.read_bytes().replace(b"\n", b"\r\n"))
    assert up(empty) == []
    schema.write_bytes(schema.read_bytes() + b"-- a harmless comment\n")
    with pytest.raises(UsageError, match="0001_schema was edited"):
        up(empty)


def test_a_newer_database_is_refused(empty: TestDatabase, folder: Path) -> None:
    """An old program must not work on a schema that it does not know."""
    (folder / "9998_future.sql").write_text("CREATE TABLE future ();")
    up(empty)
    (folder / "9998_future.sql").unlink()
    with pytest.raises(UsageError, match="9998, which this version of node-import does not know"):
        up(empty)


def test_a_new_migration_is_applied_alone(empty: TestDatabase, folder: Path) -> None:
    """What is there stays, what is missing comes."""
    up(empty)
    (folder / "9998_more.sql").write_text("CREATE TABLE more (id int);")
    assert up(empty) == [9998]
    assert rows(empty, "SELECT tableowner FROM pg_tables WHERE tablename = 'more'") == [
        ("ni_owner",)
    ]


def test_a_migration_that_fails_leaves_nothing(empty: TestDatabase, folder: Path) -> None:
    """Not its first half, and no record of it; the ones before it stay."""
    (folder / "9998_broken.sql").write_text("CREATE TABLE half (); SELECT 1 / 0;")
    with pytest.raises(psycopg.errors.DivisionByZero):
        up(empty)
    assert rows(empty, "SELECT to_regclass('half')") == [(None,)]
    assert rows(empty, "SELECT max(version) < 9998 FROM schema_migration") == [(True,)]


def test_an_existing_role_keeps_its_password(empty: TestDatabase) -> None:
    """A password in the settings that is out of date does not lock the importer out."""
    before = rows(empty, "SELECT rolpassword FROM pg_authid WHERE rolname = 'ni_importer'")
    migrate(empty.admin_dsn, make_conninfo(empty.importer_dsn, password="another"))
    after = rows(empty, "SELECT rolpassword FROM pg_authid WHERE rolname = 'ni_importer'")
    assert after == before


def test_a_role_that_owns_the_database_can_migrate(
    empty: TestDatabase, database: TestDatabase
) -> None:
    """A managed server gives no superuser, but one that may create roles."""
    name = sql.Identifier(f"admin_of_{empty.name}")
    with database.connect() as conn:
        conn.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE PASSWORD 'x'").format(name))
        try:
            owner = sql.SQL("ALTER DATABASE {} OWNER TO {}")
            conn.execute(owner.format(sql.Identifier(empty.name), name))
            for role in ("ni_owner", "ni_operator"):
                grant = "GRANT {} TO {} WITH ADMIN OPTION"
                conn.execute(sql.SQL(grant).format(sql.Identifier(role), name))
            login = make_conninfo(empty.admin_dsn, user=f"admin_of_{empty.name}", password="x")
            assert migrate(login, empty.importer_dsn)
        finally:
            with psycopg.connect(empty.admin_dsn, autocommit=True) as inside:
                inside.execute(sql.SQL("DROP OWNED BY {}").format(name))
            owner = sql.SQL("ALTER DATABASE {} OWNER TO CURRENT_USER")
            conn.execute(owner.format(sql.Identifier(empty.name)))
            conn.execute(sql.SQL("DROP ROLE {}").format(name))


def test_no_server(empty: TestDatabase) -> None:
    """A server that does not answer may answer later."""
    with pytest.raises(TransientError, match="DATABASE_UNAVAILABLE"):
        migrate(make_conninfo(empty.admin_dsn, port="9"), empty.importer_dsn)


def test_a_file_with_a_wrong_name_is_refused(empty: TestDatabase, folder: Path) -> None:
    """It would be applied at no known place in the order."""
    (folder / "add_more.sql").write_text("SELECT 1;")
    with pytest.raises(UsageError, match=r"add_more\.sql"):
        up(empty)
