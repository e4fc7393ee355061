"""Fixtures of the tests that need real services; in any other session these tests do not exist."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from node_import.settings import Settings
from node_import_tests.services.running import RealServices, details
from node_import_tests.services.topics import Topics
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.intake_desk import Desk, open_desk

collect_ignore_glob = [] if details() else ["test_*.py"]


@pytest.fixture(scope="session")
def real() -> RealServices:
    """Where the services are."""
    found = details()
    assert found is not None
    return found


@pytest.fixture
def desk(
    settings: Settings, database: TestDatabase, unique_name: Callable[[str], str]
) -> Iterator[Desk]:
    """A fresh database with one tenant, whose topics are not there yet."""
    with open_desk(settings, database, unique_name("real")) as made:
        yield made


@pytest.fixture
def topics(settings: Settings) -> Topics:
    """For making, changing and deleting topics."""
    return Topics(settings)
