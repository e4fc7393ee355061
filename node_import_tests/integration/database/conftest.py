"""Databases for tests of migrations and roles."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql

from node_import.database import Database
from node_import_tests.support.databases import DatabaseFactory, TestDatabase
from node_import_tests.support.services import TestServices
from node_import_tests.support.tenants import Tenant, make_tenant


@pytest.fixture
def empty(database_factory: DatabaseFactory, services: TestServices) -> Iterator[TestDatabase]:
    """A database that has never been migrated."""
    made = database_factory.empty_database()
    name = sql.Identifier(made.name)
    with psycopg.connect(services.postgres_admin_dsn, autocommit=True) as conn:
        conn.execute(sql.SQL("CREATE DATABASE {}").format(name))
        yield made
        conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture
def importer(database: TestDatabase) -> Database:
    """The database as the importer has it."""
    return Database(database.importer_dsn)


@pytest.fixture
def acme(importer: Database, database: TestDatabase) -> Tenant:
    """A tenant."""
    return make_tenant(importer, database, "acme")


@pytest.fixture
def bolt(importer: Database, database: TestDatabase) -> Tenant:
    """Another tenant."""
    return make_tenant(importer, database, "bolt")
