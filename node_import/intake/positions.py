"""How far each partition has been read: where to go on, and moving on by compare-and-set.

PostgreSQL owns the positions; they move in the transaction that inserts the jobs of what was
read. The committed offsets of the consumer group are a mirror for lag tools.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from node_import.contracts.topics import RequestTopic
from node_import.database import Connection
from node_import.sql import statements


@dataclass(frozen=True, slots=True)
class Partition:
    """One partition of a request topic. `topic_id` changes when a topic is deleted and made again.

    Brokers without topic ids give the topic's name instead.
    """

    topic: RequestTopic
    topic_id: str
    number: int

    def __str__(self) -> str:
        return f"{self.topic.name}[{self.number}]"


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """What a partition holds: the first offset, and the one that the next message will have."""

    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Start:
    """Where to read on; `stored` is the position in PostgreSQL, None if there is none yet."""

    offset: int
    stored: int | None
    alert: str | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """A position from `expected` (None: there is none yet) to `next_offset`."""

    partition: Partition
    expected: int | None
    next_offset: int


class PositionsMoved(Exception):
    """Somebody else moved a position since this tick read it; nothing of this tick may count."""


def choose_start(
    partition: Partition, offsets: OffsetRange, *, stored: int | None, committed: int | None
) -> Start:
    """Where reading a partition goes on.

    At the stored position; without one at the consumer group's committed offset; without that
    at the earliest message. An offset that the partition does not hold (any more) means that
    messages were lost or came anew: everything that is there is read, and somebody is told. What
    was imported before is known by its identity and not imported again.
    """
    wanted = stored if stored is not None else committed
    if wanted is None:
        return Start(offsets.low, stored)
    if offsets.low <= wanted <= offsets.high:
        return Start(wanted, stored)
    alert = (
        f"{partition}: position {wanted} is out of range, the topic holds {offsets.low} to "
        f"{offsets.high}; reading on at {offsets.low}, messages in between may be lost"
    )
    return Start(offsets.low, stored, alert)


def read_positions(
    conn: Connection, cluster_id: str, partitions: Collection[Partition]
) -> dict[Partition, int]:
    """The stored positions of `partitions`; those without one are missing. As ni_operator."""
    parameters = {
        "cluster_id": cluster_id,
        "topic_ids": list({partition.topic_id for partition in partitions}),
    }
    rows = conn.execute(statements("intake.sql")["read_positions"], parameters)
    stored = {(row["topic_id"], row["partition_no"]): row["next_offset"] for row in rows}
    keys = {partition: (partition.topic_id, partition.number) for partition in partitions}
    return {partition: stored[key] for partition, key in keys.items() if key in stored}


def advance_positions(conn: Connection, cluster_id: str, moves: Sequence[Move]) -> None:
    """Move every position, inside the caller's operator transaction.

    Raises:
        PositionsMoved: at least one is not where it was expected; the caller rolls back.
    """
    new = [move for move in moves if move.expected is None]
    old = [move for move in moves if move.expected is not None]
    for name, part in (("start_positions", new), ("advance_positions", old)):
        if not part:
            continue
        rows = conn.execute(statements("intake.sql")[name], _columns(cluster_id, part)).fetchall()
        if len(rows) != len(part):
            raise PositionsMoved


def _columns(cluster_id: str, moves: Sequence[Move]) -> Mapping[str, object]:
    return {
        "cluster_id": cluster_id,
        "topic_ids": [move.partition.topic_id for move in moves],
        "partition_nos": [move.partition.number for move in moves],
        "topics": [move.partition.topic.name for move in moves],
        "expected": [move.expected for move in moves],
        "next_offsets": [move.next_offset for move in moves],
    }
