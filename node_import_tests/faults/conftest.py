"""Fixtures of the fault suite; in any other session its tests do not exist.

`python -m node_import_tests.faults` runs them, in several sessions at once: each has a lane of its
own and takes every n-th test.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from node_import_tests.faults.lane import Lane, open_lane
from node_import_tests.faults.nursery import Nursery
from node_import_tests.faults.world import World, open_world

SHARD_VARIABLE = "NODE_IMPORT_TEST_FAULTS"
"""`1/2`: the first of two sessions."""

collect_ignore_glob = [] if os.environ.get(SHARD_VARIABLE) else ["test_*.py"]

OpenWorld = Callable[..., AbstractContextManager[World]]


def pytest_configure(config: pytest.Config) -> None:
    """`-m quick` chooses what `--quick` runs."""
    config.addinivalue_line("markers", "quick: of the faults that are tried at every change")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what this session is to run."""
    number, of = map(int, os.environ.get(SHARD_VARIABLE, "1/1").split("/"))
    mine = [item for item in items if Path(__file__).parent in item.path.parents]
    kept = {id(item) for item in mine[number - 1 :: of]}
    items[:] = [item for item in items if item not in mine or id(item) in kept]


@pytest.fixture(scope="session")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lane]:
    """The services of this session."""
    with open_lane(tmp_path_factory.mktemp("lane")) as opened:
        yield opened


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """What forks the processes of this session."""
    with Nursery(tmp_path_factory.mktemp("zygote") / "log") as opened:
        yield opened


@pytest.fixture
def new_world(lane: Lane, nursery: Nursery, tmp_path: Path) -> OpenWorld:
    """Opens a deployment: `with new_world(tenants=2, lock_timeout=1.0) as world`."""

    def opened(**changes: Any) -> AbstractContextManager[World]:
        lane.ensure_up()
        return open_world(lane, nursery, tmp_path / "world", **changes)

    return opened


@pytest.fixture
def world(new_world: OpenWorld) -> Iterator[World]:
    """A deployment with one tenant."""
    with new_world() as opened:
        yield opened
