"""The loop that reads: limits, ends of partitions, and a fair share for each.

Without shares a partition with a long backlog could fill every tick, and the requests of all
other tenants would wait behind it: fetch responses favour whoever has the most.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Consumer, KafkaError, TopicPartition
from confluent_kafka import Message as KafkaMessage

from node_import.contracts.identity import MessageIdentity
from node_import.contracts.message import Message
from node_import.intake.positions import Partition
from node_import.kafka import LOGGER
from node_import.sizes import MIB

MAX_BATCH_BYTES = 32 * MIB
# A broker that answers does so in milliseconds; one silent for so long will not in this tick.
SILENCE_SECONDS = 3.0
POLL_SECONDS = 0.1
MAX_EVENTS = 1_000
NO_TIMESTAMP = -1


@dataclass(frozen=True, slots=True)
class Read:
    """One message and the partition it was read from."""

    partition: Partition
    message: Message


@dataclass(slots=True)
class Batch:
    """What was read, in order within each partition, and how far: the next offset of each."""

    messages: list[Read] = field(default_factory=list)
    next_offsets: dict[Partition, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


class FairReading:
    """Reads once from partitions that are assigned to `consumer` at `starts`."""

    def __init__(
        self,
        consumer: Consumer,
        cluster_id: str,
        starts: Mapping[Partition, int],
        max_messages: int,
    ) -> None:
        self._consumer = consumer
        self._cluster_id = cluster_id
        self._partitions = {(p.topic.name, p.number): p for p in starts}
        self._messages_left = max_messages
        self._bytes_left = MAX_BATCH_BYTES
        self._open = set(starts)
        self._paused: set[Partition] = set()
        self._share_left: dict[Partition, int] = {}
        self._batch = Batch(next_offsets=dict(starts))
        self._share_out()

    def run(self, deadline: float) -> Batch:
        """Read until a limit, `deadline` (of `time.monotonic`) or the end of every partition."""
        heard = time.monotonic()
        while self._open and self._messages_left > 0 and self._bytes_left > 0:
            now = time.monotonic()
            if now >= deadline:
                break
            if now - heard >= SILENCE_SECONDS:
                self._warn_of_silence()
                break
            events = self._next_events(min(POLL_SECONDS, deadline - now))
            if events:
                heard = now
            self._take(events)
        self._pass_what_gave_no_message()
        return self._batch

    def _next_events(self, timeout: float) -> Sequence[KafkaMessage]:
        """Up to the smallest share that is left, so that nobody takes another's.

        `consume(n, timeout)` waits for all n, so: wait for one, then take what is there.
        """
        first = self._consumer.poll(timeout)
        if first is None:
            return ()
        shares = (self._share_left[partition] for partition in self._open - self._paused)
        most = min(MAX_EVENTS, self._messages_left, *shares) - 1
        return [first, *self._consumer.consume(most, timeout=0)] if most > 0 else [first]

    def _take(self, events: Iterable[KafkaMessage]) -> None:
        for event in events:
            partition = self._partitions.get((str(event.topic()), event.partition() or 0))
            error = event.error()
            if error is not None:
                self._take_error(partition, error, event.offset() or 0)
            elif partition is not None:
                self._take_message(partition, self._message(event))
        if self._paused and self._paused >= self._open:
            self._share_out()

    def _message(self, event: KafkaMessage) -> Message:
        message, headers_lost = read_message(event, self._cluster_id)
        if headers_lost:
            self._batch.warnings.append(
                f"{message.identity}: its headers are left out, the name of one is not UTF-8"
            )
        return message

    def _take_message(self, partition: Partition, message: Message) -> None:
        self._batch.messages.append(Read(partition, message))
        self._reached(partition, message.identity.offset + 1)
        self._messages_left -= 1
        self._bytes_left -= message.size
        self._share_left[partition] -= 1
        if self._share_left[partition] == 0 and self._messages_left > 0:
            self._consumer.pause(_plain([partition]))
            self._paused.add(partition)

    def _take_error(self, partition: Partition | None, error: KafkaError, offset: int) -> None:
        if partition is None:  # of the client as a whole; silence will end the reading
            LOGGER.warning("while reading requests: %s", error)
            return
        self._open.discard(partition)
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
            self._reached(partition, offset)
        else:
            self._batch.warnings.append(f"{partition}: {error.str()}")

    def _share_out(self) -> None:
        """Equal shares of what is left, to all that are not read to their end."""
        if self._paused:
            self._consumer.resume(_plain(self._paused))
            self._paused.clear()
        share = max(self._messages_left // max(len(self._open), 1), 1)
        self._share_left = dict.fromkeys(self._partitions.values(), share)

    def _pass_what_gave_no_message(self) -> None:
        """Control records and messages of aborted transactions: the client is past them."""
        for position in self._consumer.position(_plain(self._partitions.values())):
            self._reached(self._partitions[position.topic, position.partition], position.offset)

    def _reached(self, partition: Partition, offset: int) -> None:
        next_offsets = self._batch.next_offsets
        next_offsets[partition] = max(next_offsets[partition], offset)

    def _warn_of_silence(self) -> None:
        silent = ", ".join(sorted(map(str, self._open)))
        self._batch.warnings.append(f"no answer within {SILENCE_SECONDS:.0f} s about {silent}")


def _plain(partitions: Iterable[Partition]) -> list[TopicPartition]:
    return [TopicPartition(partition.topic.name, partition.number) for partition in partitions]


def read_message(event: KafkaMessage, cluster_id: str) -> tuple[Message, bool]:
    """The message of an event, and whether its headers had to be left out.

    confluent-kafka raises SystemError for a header whose name is not UTF-8, which clients in C
    can send, and hands out broken tuples when it is asked again.
    """
    kind, timestamp_ms = event.timestamp()
    identity = MessageIdentity(
        cluster_id,
        str(event.topic()),
        event.partition() or 0,
        event.offset() or 0,
        NO_TIMESTAMP if kind == TIMESTAMP_NOT_AVAILABLE else timestamp_ms,
    )
    try:
        headers = cast("list[tuple[str, bytes | None]]", event.headers() or [])
    except (SystemError, UnicodeDecodeError):
        return Message(identity, event.key(), event.value()), True
    return Message(identity, event.key(), event.value(), tuple(headers)), False
