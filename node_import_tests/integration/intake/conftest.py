"""A tenant with a topic of its own, and ticks against the real cluster and database."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from node_import.settings import Settings
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.intake_desk import Desk, open_desk


@pytest.fixture
def desk(
    settings: Settings, database: TestDatabase, unique_name: Callable[[str], str]
) -> Iterator[Desk]:
    """A fresh database with one tenant; only that tenant's topics are read."""
    with open_desk(settings, database, unique_name("acme")) as made:
        yield made
