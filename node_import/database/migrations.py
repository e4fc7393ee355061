"""Brings a database to the newest schema: numbered files, forward only, each applied once.

Two `migrate` at once are safe: an advisory lock lets one wait for the other. A file that was
edited after it had been applied is refused, because nobody can say then what a database holds.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from node_import.database.failures import translated_failures
from node_import.errors import UsageError
from node_import.sql import sql_folder

# Any constant of our own; hashtext('node_import migrate') once.
MIGRATION_LOCK = 7_140_211_506
IMPORTER = "ni_importer"
_FILE_NAME = re.compile(r"(?P<version>\d{4})_(?P<name>\w+)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of `sql/migrations/`."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text; line ends count as LF, which git may change."""
        return hashlib.sha256(self.text.replace("\r\n", "\n").encode()).hexdigest()


def available_migrations() -> list[Migration]:
    """The files of `sql/migrations/`, in order; 0000 makes the roles and is not numbered."""
    migrations = []
    for path in sorted((sql_folder() / "migrations").glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            message = f"{path.name} in sql/migrations is not named NNNN_name.sql"
            raise UsageError(message)
        text = path.read_text(encoding="utf-8")
        migrations.append(Migration(int(match["version"]), match["name"], text))
    return migrations


def migrate(
    admin_dsn: str, importer_dsn: str, *, on_applied: Callable[[Migration], None] = lambda _: None
) -> list[Migration]:
    """Apply what is missing and return it.

    `admin_dsn` is a superuser or a role that may create roles and owns the database.
    `importer_dsn` gives `ni_importer` its password if that role is made now.

    Raises:
        UsageError: a migration was edited, or the database is newer than this program.
        TransientError: DATABASE_UNAVAILABLE.
    """
    roles, *numbered = available_migrations()
    with translated_failures(), psycopg.connect(admin_dsn, autocommit=True) as conn:
        conn.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        _make_roles(conn, roles, importer_dsn)
        applied = _applied_checksums(conn)
        _refuse_surprises(numbered, applied)
        missing = [migration for migration in numbered if migration.version not in applied]
        for migration in missing:
            _apply(conn, migration)
            on_applied(migration)
        return missing


def _make_roles(conn: psycopg.Connection, roles: Migration, importer_dsn: str) -> None:
    """Roles belong to the server, not to the database, so they are looked at every time."""
    known = conn.execute("SELECT FROM pg_roles WHERE rolname = %s", [IMPORTER]).fetchone()
    with conn.transaction():
        conn.execute(roles.text)
        login = conninfo_to_dict(importer_dsn)
        if known is None and login.get("user") == IMPORTER and login.get("password"):
            conn.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                    sql.Identifier(IMPORTER), sql.Literal(login["password"])
                )
            )
        for role, member in (("ni_operator", IMPORTER), ("ni_owner", conn.info.user)):
            _grant_membership(conn, role, member)
        conn.execute("GRANT USAGE, CREATE ON SCHEMA public TO ni_owner")
        conn.execute(
            "GRANT USAGE ON SCHEMA public TO ni_importer, ni_operator, ni_matcher, ni_exporter"
        )


def _grant_membership(conn: psycopg.Connection, role: str, member: str) -> None:
    """Not again where it holds: two servers' worth of GRANTs at once disturb each other."""
    # Since PostgreSQL 16 who makes a role is a member that may grant it, but not SET ROLE to it.
    kind = "SET" if conn.info.server_version >= 160000 else "MEMBER"
    row = conn.execute("SELECT pg_has_role(%s, %s, %s)", [member, role, kind]).fetchone()
    if row is None or not row[0]:
        conn.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(member)))


def _applied_checksums(conn: psycopg.Connection) -> dict[int, str]:
    with conn.transaction():
        conn.execute("SET LOCAL ROLE ni_owner")
        conn.execute(
            "CREATE TABLE IF NOT EXISTS schema_migration (version int PRIMARY KEY,"
            " name text NOT NULL, checksum text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT now())"
        )
        rows = conn.execute("SELECT version, checksum FROM schema_migration").fetchall()
    return dict(rows)


def _refuse_surprises(numbered: list[Migration], applied: dict[int, str]) -> None:
    for migration in numbered:
        if applied.get(migration.version, migration.checksum) != migration.checksum:
            message = (
                f"migration {migration.version:04d}_{migration.name} was edited after this "
                "database had applied it; restore the file and put the change into a new one"
            )
            raise UsageError(message)
    unknown = applied.keys() - {migration.version for migration in numbered}
    if unknown:
        message = (
            f"the database has migration {max(unknown):04d}, which this version of node-import "
            "does not know; install the newer version"
        )
        raise UsageError(message)


def _apply(conn: psycopg.Connection, migration: Migration) -> None:
    """One transaction a migration: it is applied whole, with its record, or not at all."""
    with conn.transaction():
        conn.execute("SET LOCAL ROLE ni_owner")
        conn.execute(migration.text)
        conn.execute(
            "INSERT INTO schema_migration (version, name, checksum) VALUES (%s, %s, %s)",
            [migration.version, migration.name, migration.checksum],
        )
