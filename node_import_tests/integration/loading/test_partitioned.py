"""The loader on tables that are partitioned by domain: the same rows as on plain ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from node_import.database import Database
from node_import.sql import sql_folder
from node_import.staging.plan import Plan
from node_import_tests.integration.loading.imports import Imports, counts
from node_import_tests.support.databases import DatabaseFactory, TestDatabase

SCRIPT = sql_folder() / "partitioning" / "partition_by_domain.sql"
KEYS = ("name", "city")
ROWS = [(f"u-{n}", "USER", f"name {n}", "Ulm" if n % 3 else None) for n in range(300)]
PLAN = Plan(slices=8, batches=2)
SHAPES = {
    "columns": "SELECT table_name, column_name, data_type, collation_name, is_nullable,"
    " column_default, is_identity FROM information_schema.columns",
    "policies": "SELECT tablename AS table_name, policyname, permissive, roles, cmd, qual,"
    " with_check FROM pg_policies",
    "grants": "SELECT table_name, grantee, privilege_type FROM"
    " information_schema.role_table_grants",
    "column grants": "SELECT table_name, column_name, grantee, privilege_type FROM"
    " information_schema.role_column_grants",
    "triggers": "SELECT tgrelid::regclass::text AS table_name, pg_get_triggerdef(oid)"
    " FROM pg_trigger WHERE NOT tgisinternal",
    "checks": "SELECT conrelid::regclass::text AS table_name, pg_get_constraintdef(oid)"
    " FROM pg_constraint WHERE contype = 'c'",
    "security": "SELECT relname AS table_name, relrowsecurity, relforcerowsecurity, relowner"
    " FROM pg_class",
}


@pytest.fixture(params=["hash", "list"])
def partitioned(request: pytest.FixtureRequest, database: TestDatabase, tmp_path: Path) -> Imports:
    """Imports into partitioned tables; of two tenants, acme and evil, one came after that."""
    imports = Imports(database, Database(database.importer_dsn), tmp_path / "partitioned")
    imports.tenant("acme")
    partition(database, request.param)
    imports.tenant("evil")
    return imports


@pytest.fixture
def plain(database_factory: DatabaseFactory, tmp_path: Path) -> Iterator[Imports]:
    """Imports into tables as the migrations make them."""
    with database_factory.database() as made:
        yield Imports(made, Database(made.importer_dsn), tmp_path / "plain")


def partition(database: TestDatabase, kind: str) -> None:
    """Run the script, as psql would."""
    with psycopg.connect(database.admin_dsn, options=f"-c node_import.partition_by={kind}") as conn:
        conn.execute(SCRIPT.read_text(encoding="utf-8"))


def shape(imports: Imports, query: str) -> list[tuple[object, ...]]:
    """What the catalog says of the two tables."""
    tables = "('nodes', 'node_metadata')"
    return imports.query(
        f"SELECT * FROM ({query}) AS q WHERE table_name IN {tables} ORDER BY q::text"
    )


@pytest.mark.parametrize("what", SHAPES)
def test_the_tables_are_the_same_but_for_their_keys(
    partitioned: Imports, plain: Imports, what: str
) -> None:
    """Nothing of what the migrations made is left out, whatever they make in future."""
    assert shape(partitioned, SHAPES[what]) == shape(plain, SHAPES[what]) != []


def test_what_is_imported_is_the_same(partitioned: Imports, plain: Imports) -> None:
    """New, the same again, other values, another type, another key, keys that others wrote."""
    other = [(name, "USER", value.upper(), None) for name, _, value, _ in ROWS[:50]]
    steps: list[tuple[list[tuple[str | None, ...]], tuple[str, ...]]] = [
        (ROWS, KEYS),
        (ROWS, KEYS),
        ([*other, *ROWS[50:60]], KEYS),
        ([(name, "PRODUCT", value, None) for name, _, value, _ in ROWS[100:150]], KEYS),
        ([(f"u-{n}", "USER", str(n)) for n in range(250, 350)], ("score",)),
    ]
    for rows, keys in steps:
        for tenant in ("acme", "evil"):
            results = [
                counts(imports.run(rows, keys, tenant=tenant, plan=PLAN))
                for imports in (partitioned, plain)
            ]
            assert results[0] == results[1]
            assert partitioned.nodes(tenant) == plain.nodes(tenant)
    hashes = "SELECT reference_id, content_hash, processed FROM nodes ORDER BY 1, 2"
    assert partitioned.query(hashes) == plain.query(hashes)


def test_each_tenant_is_in_one_partition(partitioned: Imports) -> None:
    """Its nodes and its metadata; a tenant that came later is in one too."""
    for tenant in ("acme", "evil"):
        partitioned.run(ROWS, KEYS, tenant=tenant)
    for table in ("nodes", "node_metadata"):
        found = partitioned.query(
            f"SELECT domain_id, count(DISTINCT tableoid) FROM {table} GROUP BY domain_id"
        )
        assert [number for _, number in found] == [1, 1]


def test_others_who_write_metadata_are_noticed(partitioned: Imports) -> None:
    """The importer writes its value again, as on plain tables."""
    partitioned.run(ROWS, KEYS)
    partitioned.run(ROWS, KEYS, tenant="evil")
    partitioned.change(
        "UPDATE node_metadata SET metadata_value = 'x' WHERE metadata_value = 'name 7'"
    )
    assert counts(partitioned.run(ROWS, KEYS)) == (0, 1, 299, 0)
    assert partitioned.nodes()["u-7"] == ("USER", {"name": "name 7", "city": "Ulm"})


def test_metadata_goes_with_its_node(partitioned: Imports) -> None:
    """And none of another tenant's."""
    for tenant in ("acme", "evil"):
        partitioned.run(ROWS, KEYS, tenant=tenant)
    domain = partitioned.tenant("acme").domain_id
    partitioned.change("DELETE FROM nodes WHERE domain_id = %s", domain)
    left = "SELECT count(*) FROM node_metadata WHERE domain_id = %s"
    assert partitioned.query(left, domain) == [(0,)]
    assert partitioned.query(left, partitioned.tenant("evil").domain_id) == [(500,)]


def test_tables_with_rows_are_refused(imports: Imports) -> None:
    """Nothing is changed."""
    imports.run(ROWS, KEYS)
    with pytest.raises(psycopg.errors.RaiseException, match="nodes has rows"):
        partition(imports.database, "hash")
    assert len(imports.nodes()) == 300
