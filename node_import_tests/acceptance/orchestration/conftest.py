"""One stack for all tests of this folder; it takes 20 s to come up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from node_import_tests.support.stack import Stack, running_stack


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """With the tenant acme and its group members."""
    with running_stack(tmp_path_factory.mktemp("whole")) as made:
        yield made
