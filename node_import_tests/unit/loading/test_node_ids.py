"""Ids of new nodes."""

from __future__ import annotations

import time
from uuid import RFC_4122, UUID

from node_import.loading.node_ids import node_ids


def test_are_version_7_of_this_moment() -> None:
    """Any reader of UUIDs finds version, variant and time."""
    before = time.time_ns() // 1_000_000
    made = [UUID(text) for text in node_ids(1_000)]
    after = time.time_ns() // 1_000_000
    assert {(identifier.version, identifier.variant) for identifier in made} == {(7, RFC_4122)}
    assert all(before <= identifier.int >> 80 <= after for identifier in made)


def test_ascend_within_a_slice() -> None:
    """Indexes grow at their end."""
    made = [UUID(text).int for text in node_ids(1_000)]
    assert made == sorted(set(made))


def test_differ_between_slices_of_one_moment() -> None:
    """Slices that begin in the same millisecond share no id."""
    made = [text for _ in range(200) for text in node_ids(10)]
    assert len(set(made)) == len(made)
