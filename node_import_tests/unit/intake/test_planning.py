"""Where reading goes on."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest

from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.node_type import NodeType
from node_import.contracts.topics import RequestTopic
from node_import.errors import TransientError
from node_import.intake.planning import plan_reading
from node_import.intake.positions import Move, OffsetRange, Partition, Start, choose_start

PARTITION, OTHER = (
    Partition(RequestTopic("acme-users", "acme", NodeType.USER), "topic-id", n) for n in (0, 1)
)
HELD = OffsetRange(10, 20)


class Offsets:
    """A cluster with given offsets, which notes where beginnings were asked for."""

    def __init__(self, **held: OffsetRange | TransientError) -> None:
        self._held = {PARTITION: held.get("first"), OTHER: held.get("second")}
        self.asked: list[Partition] = []

    def latest(self, partitions: Collection[Partition]) -> Mapping[Partition, int | TransientError]:
        return {p: self._of(p, "high") for p in partitions}

    def earliest(
        self, partitions: Collection[Partition]
    ) -> Mapping[Partition, int | TransientError]:
        self.asked += partitions
        return {p: self._of(p, "low") for p in partitions}

    def _of(self, partition: Partition, name: str) -> int | TransientError:
        held = self._held[partition]
        return held if isinstance(held, TransientError) else getattr(held, name)


@pytest.mark.parametrize(
    ("stored", "committed", "start"),
    [
        (15, None, 15),
        (15, 12, 15),
        (10, None, 10),
        (20, None, 20),
        (None, 12, 12),
        (None, None, 10),
    ],
)
def test_reading_goes_on_at_the_position_then_the_groups_offset_then_the_beginning(
    stored: int | None, committed: int | None, start: int
) -> None:
    """PostgreSQL's position wins; the group's offset is for partitions seen for the first time."""
    found = choose_start(PARTITION, HELD, stored=stored, committed=committed)
    assert found == Start(start, stored)


@pytest.mark.parametrize(("stored", "committed"), [(9, None), (21, None), (None, 5), (None, 99)])
def test_what_is_out_of_range_is_alerted(stored: int | None, committed: int | None) -> None:
    """Everything that is there is read, and somebody is told."""
    found = choose_start(PARTITION, HELD, stored=stored, committed=committed)
    assert found.offset == 10
    assert found.alert is not None
    assert "acme-users[0]" in found.alert


def test_a_quiet_partition_is_asked_nothing_more() -> None:
    """Only where something is new is the beginning asked for."""
    offsets = Offsets(first=HELD, second=HELD)
    plan = plan_reading(
        [PARTITION, OTHER], offsets, stored={PARTITION: 20, OTHER: 19}, committed={}
    )
    assert offsets.asked == [OTHER]
    assert plan.unread == {OTHER: 19}
    assert plan.moves({OTHER: 20}) == [Move(OTHER, 19, 20)]


def test_an_empty_partition_gets_its_position_without_being_read() -> None:
    """So that what comes later is read, even if retention is quicker."""
    plan = plan_reading([PARTITION], Offsets(first=OffsetRange(7, 7)), stored={}, committed={})
    assert plan.unread == {}
    assert plan.moves({}) == [Move(PARTITION, None, 7)]


def test_a_partition_without_a_leader_waits() -> None:
    """It is named in a warning, and the others are read."""
    away = TransientError(ErrorCode.KAFKA_UNAVAILABLE, "acme-users[0]: no leader")
    plan = plan_reading(
        [PARTITION, OTHER], Offsets(first=away, second=HELD), stored={}, committed={}
    )
    assert plan.warnings == ["acme-users[0]: no leader"]
    assert plan.unread == {OTHER: 10}
    assert PARTITION not in plan.starts
