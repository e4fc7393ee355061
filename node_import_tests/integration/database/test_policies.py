"""What the policies cost: the tenant is looked up once a statement, however many rows it writes."""

from __future__ import annotations

import pytest
from psycopg import sql

from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.tenants import Tenant

NODES = (
    "EXPLAIN INSERT INTO nodes (id, reference_id, group_id, type, domain_id, created_at)"
    " SELECT gen_random_uuid(), n::text, %(group)s, 'USER', %(domain)s, now()"
    " FROM generate_series(1, 10) AS n"
)
METADATA = (
    "EXPLAIN INSERT INTO node_metadata (node_id, domain_id, metadata_key, metadata_value)"
    " SELECT gen_random_uuid(), %(domain)s, 'city', 'Bern' FROM generate_series(1, 10) AS n"
)


@pytest.mark.parametrize("statement", [NODES, METADATA], ids=["nodes", "node_metadata"])
def test_a_write_looks_up_its_tenant_once(
    database: TestDatabase, acme: Tenant, statement: str
) -> None:
    """The look-up is an InitPlan of the importer's statement, which runs before the first row."""
    parameters = {"group": acme.groups["g"], "domain": acme.domain_id}
    with database.connect() as conn:
        conn.execute(sql.SQL("SET ROLE ni_importer"))
        plan = [line for (line,) in conn.execute(sql.SQL(statement), parameters)]
    assert [line for line in plan if "InitPlan" in line]
