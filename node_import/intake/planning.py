"""Which partitions to read in this tick, and from where."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from node_import.errors import TransientError
from node_import.intake.positions import Move, OffsetRange, Partition, Start, choose_start


class OffsetSource(Protocol):
    """Where partitions begin and end; an error for one that cannot say."""

    def latest(self, partitions: Collection[Partition]) -> Mapping[Partition, int | TransientError]:
        """The offset that the next message will have."""

    def earliest(
        self, partitions: Collection[Partition]
    ) -> Mapping[Partition, int | TransientError]:
        """The offset of the first message that is still there."""


@dataclass(slots=True)
class ReadingPlan:
    """Where every partition stands, and which ones hold something new to be read.

    `resting` are topics that hold something new and are left alone in this tick.
    """

    starts: dict[Partition, Start] = field(default_factory=dict)
    unread: dict[Partition, int] = field(default_factory=dict)
    alerts: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    resting: frozenset[str] = frozenset()

    def let_rest(self, topics: frozenset[str]) -> None:
        """Read nothing of these topics."""
        self.resting = topics
        self.unread = {p: start for p, start in self.unread.items() if p.topic.name not in topics}

    def moves(self, next_offsets: Mapping[Partition, int]) -> list[Move]:
        """The positions to write after reading, those of partitions seen first among them."""
        moves = (
            Move(partition, start.stored, next_offsets.get(partition, start.offset))
            for partition, start in self.starts.items()
        )
        return [move for move in moves if move.next_offset != move.expected]


def plan_reading(
    partitions: Collection[Partition],
    offsets: OffsetSource,
    *,
    stored: Mapping[Partition, int],
    committed: Mapping[Partition, int],
) -> ReadingPlan:
    """The plan of one tick.

    `stored` are positions in PostgreSQL, `committed` the group's offsets of partitions without
    one. Beginnings are asked for only where something is new: in a quiet tick nowhere.
    """
    plan = ReadingPlan()
    latest = _known(plan, offsets.latest(partitions))
    quiet = {p: high for p, high in latest.items() if stored.get(p) == high}
    earliest = _known(plan, offsets.earliest([p for p in latest if p not in quiet]))
    for partition, high in latest.items():
        if partition in quiet:
            plan.starts[partition] = Start(high, high)
        elif partition in earliest:
            _start(plan, partition, OffsetRange(earliest[partition], high), stored, committed)
    return plan


def _start(
    plan: ReadingPlan,
    partition: Partition,
    offsets: OffsetRange,
    stored: Mapping[Partition, int],
    committed: Mapping[Partition, int],
) -> None:
    start = choose_start(
        partition,
        offsets,
        stored=stored.get(partition),
        committed=committed.get(partition),
    )
    plan.starts[partition] = start
    if start.alert is not None:
        plan.alerts.append(start.alert)
    if start.offset < offsets.high:
        plan.unread[partition] = start.offset


def _known(
    plan: ReadingPlan, answers: Mapping[Partition, int | TransientError]
) -> dict[Partition, int]:
    """Partitions that cannot say (a leader is being elected) wait for a later tick."""
    known: dict[Partition, int] = {}
    for partition, answer in answers.items():
        if isinstance(answer, TransientError):
            plan.warnings.append(answer.message)
        else:
            known[partition] = answer
    return known
