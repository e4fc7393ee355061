"""Imports of rows written in a test, without a file or a run around them."""

from __future__ import annotations

from pathlib import Path

import pytest

from node_import.database import Database
from node_import_tests.integration.loading.imports import Imports
from node_import_tests.support.databases import TestDatabase


@pytest.fixture
def imports(database: TestDatabase, tmp_path: Path) -> Imports:
    """Imports into a database of this test's own."""
    return Imports(database, Database(database.importer_dsn), tmp_path)
