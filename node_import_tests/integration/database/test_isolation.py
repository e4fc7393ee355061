"""Roles and policies: the database itself keeps tenants apart, whatever the program does."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from node_import.database import Connection, Database
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.tenants import Tenant, rows

OUTBOX = {"job_status_event", "job_dead_letter"}
TENANT_TABLES = (
    "domain",
    "matching_group",
    "nodes",
    "node_metadata",
    "nodes_import_job",
    "import_ledger",
    "job_status_event",
    "job_dead_letter",
)


def add_node(database: Database, tenant: Tenant, reference: str = "r") -> UUID:
    """A node with one metadata value, written as the importer writes."""
    node = uuid.uuid4()
    with database.tenant(tenant.domain_id) as conn:
        conn.execute(
            "INSERT INTO nodes (id, reference_id, group_id, type, domain_id, created_at,"
            " content_hash) VALUES (%s, %s, %s, 'USER', %s, now(), 42)",
            [node, reference, tenant.groups["g"], tenant.domain_id],
        )
        conn.execute(
            "INSERT INTO node_metadata (node_id, domain_id, metadata_key, metadata_value)"
            " VALUES (%s, %s, 'city', 'Bern')",
            [node, tenant.domain_id],
        )
    return node


@contextmanager
def acting_as(database: TestDatabase, role: str, tenant: Tenant) -> Iterator[psycopg.Connection]:
    """A session of that role, bound to the tenant."""
    with database.connect() as conn:
        conn.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(role)))
        conn.execute("SELECT set_config('app.domain_id', %s, false)", [str(tenant.domain_id)])
        yield conn


def count(conn: Connection | psycopg.Connection, table: str) -> int:
    """The rows that a session can see."""
    cursor = conn.cursor(row_factory=psycopg.rows.scalar_row)
    statement = sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
    return int(cursor.execute(statement).fetchone() or 0)


@pytest.fixture
def nodes(importer: Database, acme: Tenant, bolt: Tenant) -> dict[str, UUID]:
    """A node and a job of each tenant."""
    for tenant in (acme, bolt):
        tenant.file()
    return {"acme": add_node(importer, acme), "bolt": add_node(importer, bolt)}


def test_without_a_tenant_the_importer_sees_nothing(
    importer: Database, nodes: dict[str, UUID]
) -> None:
    """No setting, one that was reset, and a tenant that does not exist are no tenant."""
    readable = [table for table in TENANT_TABLES if table not in OUTBOX]
    with importer.connect() as conn:
        assert [count(conn, table) for table in readable] == [0] * len(readable)
        with conn.transaction():
            conn.execute("SELECT set_config('app.domain_id', %s, true)", [str(uuid.uuid4())])
            assert [count(conn, table) for table in readable] == [0] * len(readable)
        assert [count(conn, table) for table in readable] == [0] * len(readable)


def test_the_importer_sees_one_tenant(
    importer: Database, acme: Tenant, nodes: dict[str, UUID]
) -> None:
    """Its nodes, metadata, groups and jobs; nobody else's."""
    with importer.tenant(acme.domain_id) as conn:
        assert [row["id"] for row in conn.execute("SELECT id FROM nodes")] == [nodes["acme"]]
        assert [row["id"] for row in conn.execute("SELECT id FROM domain")] == [acme.domain_id]
        assert count(conn, "node_metadata") == 1
        assert count(conn, "nodes_import_job") == 1
        assert count(conn, "matching_group") == 2


def test_the_importer_cannot_write_another_tenants_rows(
    importer: Database, acme: Tenant, bolt: Tenant, nodes: dict[str, UUID], database: TestDatabase
) -> None:
    """Neither new ones nor existing ones, and an upsert against one raises."""
    insert = (
        "INSERT INTO nodes (id, reference_id, group_id, type, domain_id, created_at)"
        " VALUES (%s, 'x', %s, 'USER', %s, now())"
    )
    values = [uuid.uuid4(), bolt.groups["g"], bolt.domain_id]
    with pytest.raises(InsufficientPrivilege), importer.tenant(acme.domain_id) as conn:
        conn.execute(insert, values)
    with importer.tenant(acme.domain_id) as conn:
        assert conn.execute("UPDATE nodes SET type = 'PRODUCT'").rowcount == 1
        assert conn.execute("UPDATE node_metadata SET metadata_value = 'x'").rowcount == 1
    types = dict(rows(database, "SELECT id, type FROM nodes"))
    assert types == {nodes["acme"]: "PRODUCT", nodes["bolt"]: "USER"}


def test_what_the_importer_may_not_do(importer: Database, acme: Tenant) -> None:
    """It owns nothing, and what concerns all tenants it does as the operator."""
    forbidden = (
        "DELETE FROM nodes",
        "TRUNCATE nodes",
        "TRUNCATE node_metadata",
        "UPDATE nodes_import_job SET status = 'COMPLETED'",
        "UPDATE domain SET name = 'mine'",
        "INSERT INTO matching_group (id) VALUES (gen_random_uuid())",
        "DELETE FROM import_ledger",
        "SELECT * FROM intake_position",
        "SELECT * FROM replayed_letter",
        "SELECT * FROM run_heartbeat",
        "SELECT * FROM job_status_event",
        "SELECT * FROM job_dead_letter",
        "ALTER TABLE nodes DISABLE ROW LEVEL SECURITY",
        "DROP POLICY tenant ON nodes",
        "SET ROLE ni_owner",
        "SET ROLE ni_matcher",
    )
    for statement in forbidden:
        with pytest.raises(InsufficientPrivilege), importer.tenant(acme.domain_id) as conn:
            conn.execute(statement)


def test_the_operator_sees_all_tenants_jobs(importer: Database, nodes: dict[str, UUID]) -> None:
    """And their domains and groups."""
    with importer.operator() as conn:
        assert count(conn, "nodes_import_job") == 2
        assert count(conn, "domain") == 2


def test_the_operator_never_sees_nodes(importer: Database) -> None:
    """Nobody's nodes, and no metadata; and it empties no table."""
    forbidden = (
        "SELECT * FROM nodes",
        "SELECT * FROM node_metadata",
        "DELETE FROM nodes",
        "TRUNCATE nodes_import_job CASCADE",
        "DELETE FROM domain",
        "SET ROLE ni_owner",
    )
    for statement in forbidden:
        with pytest.raises(InsufficientPrivilege), importer.operator() as conn:
            conn.execute(statement)


def test_the_operator_role_ends_with_its_transaction(
    importer: Database, nodes: dict[str, UUID]
) -> None:
    """Afterwards the session is the importer's again, without a tenant."""
    with importer.connect() as conn:
        with conn.transaction():
            conn.execute("SET LOCAL ROLE ni_operator")
            assert count(conn, "nodes_import_job") == 2
        assert count(conn, "nodes_import_job") == 0


def test_the_matcher_sets_processed_and_nothing_else(
    acme: Tenant, nodes: dict[str, UUID], database: TestDatabase
) -> None:
    """Of one tenant's nodes, whose metadata it reads."""
    with acting_as(database, "ni_matcher", acme) as conn:
        assert conn.execute("UPDATE nodes SET processed = true").rowcount == 1
        assert conn.execute("SELECT metadata_value FROM node_metadata").fetchall() == [("Bern",)]
        for statement in (
            "UPDATE nodes SET type = 'PRODUCT'",
            "UPDATE nodes SET content_hash = 1",
            "UPDATE node_metadata SET metadata_value = 'x'",
            "DELETE FROM nodes",
            "TRUNCATE nodes",
            "SELECT * FROM nodes_import_job",
        ):
            with pytest.raises(InsufficientPrivilege):
                conn.execute(statement)
    processed = dict(rows(database, "SELECT id, processed FROM nodes"))
    assert processed == {nodes["acme"]: True, nodes["bolt"]: False}


def test_the_exporter_sees_no_table(acme: Tenant, database: TestDatabase) -> None:
    """Aggregate views alone, as far as there are any."""
    with acting_as(database, "ni_exporter", acme) as conn:
        for table in TENANT_TABLES:
            with pytest.raises(InsufficientPrivilege):
                count(conn, table)


def test_owners_are_bound_too(database: TestDatabase) -> None:
    """Row-level security is on and forced for every table with a tenant."""
    forced = rows(
        database,
        "SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity",
    )
    assert {name for (name,) in forced} == set(TENANT_TABLES)
    with_tenant = rows(
        database,
        "SELECT table_name FROM information_schema.columns"
        " WHERE column_name = 'domain_id' AND table_schema = 'public'",
    )
    assert {name for (name,) in with_tenant} <= set(TENANT_TABLES)


def test_no_role_can_pass_the_policies(database: TestDatabase) -> None:
    """None is a superuser or bypasses row-level security; the importer alone logs in."""
    roles = rows(
        database,
        "SELECT rolname, rolsuper OR rolbypassrls OR rolinherit, rolcanlogin FROM pg_roles"
        " WHERE rolname LIKE 'ni\\_%%' AND rolname NOT LIKE 'ni\\_test%%' ORDER BY 1",
    )
    assert roles == [
        ("ni_exporter", False, False),
        ("ni_importer", False, True),
        ("ni_matcher", False, False),
        ("ni_operator", False, False),
        ("ni_owner", False, False),
    ]
