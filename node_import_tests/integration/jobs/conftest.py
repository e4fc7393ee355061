"""A database of this test's own, and two tenants in it."""

from __future__ import annotations

import pytest

from node_import.database import Database
from node_import.settings import Settings
from node_import_tests.integration.jobs.queue import Queue
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.tenants import Tenant, make_tenant


@pytest.fixture
def settings(database: TestDatabase) -> Settings:
    """Jobs need no object store, so a test here makes no bucket."""
    return Settings(postgres_dsn=database.importer_dsn, kafka_bootstrap_servers="unused:9092")


@pytest.fixture
def importer(settings: Settings) -> Database:
    """The database as the importer has it."""
    return Database.from_settings(settings)


@pytest.fixture
def acme(importer: Database, database: TestDatabase) -> Tenant:
    """A tenant."""
    return make_tenant(importer, database, "acme")


@pytest.fixture
def bolt(importer: Database, database: TestDatabase) -> Tenant:
    """Another tenant."""
    return make_tenant(importer, database, "bolt")


@pytest.fixture
def queue(importer: Database, settings: Settings) -> Queue:
    """The queue of this test's database."""
    return Queue(importer, settings)
