"""Messages in and out of the cluster that a test runs against, by a plain client."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Producer, TopicPartition

from node_import.settings import Settings

TIMEOUT = 20.0


@dataclass(frozen=True)
class Sent:
    """Where a message went."""

    partition: int
    offset: int


@dataclass(frozen=True)
class Received:
    """A message as any consumer sees it."""

    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]] = field(default_factory=list)

    def header(self, name: str) -> bytes | None:
        """The only header of that name."""
        [value] = [value for header, value in self.headers if header == name]
        return value


def produce(
    settings: Settings,
    topic: str,
    values: Iterable[bytes | str | None],
    *,
    partition: int = 0,
    key: bytes | None = None,
    headers: Sequence[tuple[str, bytes | None]] = (),
) -> list[Sent]:
    """Send `values` to one partition and wait until they are there, in this order.

    The first goes alone: the leader of a topic that is just being made can refuse a request and
    take the next. And one request at a time, for the same reason.
    """
    one_by_one = {"max.in.flight.requests.per.connection": 1}
    producer = Producer({**settings.kafka_client_config(), **one_by_one})
    places: dict[int, Sent] = {}

    def note(number: int, error: KafkaError | None, message: object) -> None:
        assert error is None, error
        places[number] = Sent(message.partition(), message.offset())  # type: ignore[attr-defined]

    for number, value in enumerate(values):
        producer.produce(
            topic,
            value=value,
            key=key,
            partition=partition,
            headers=list(headers),
            on_delivery=partial(note, number),
        )
        producer.poll(0)
        if number == 0:
            assert producer.flush(TIMEOUT) == 0
    assert producer.flush(TIMEOUT) == 0
    sent = [places[number] for number in sorted(places)]
    offsets = [place.offset for place in sent]
    assert offsets == sorted(offsets), f"{topic} has its messages in another order: {offsets}"
    return sent


def partition_numbers(settings: Settings, topic: str) -> list[int]:
    """The partitions of a topic; the mock cluster makes it now if it is not there."""
    consumer = Consumer({**settings.kafka_client_config(), "group.id": "look"})
    try:
        return sorted(consumer.list_topics(topic, timeout=TIMEOUT).topics[topic].partitions)
    finally:
        consumer.close()


def read_topic(settings: Settings, topic: str) -> list[Received]:
    """All messages of a topic, in order within each partition."""
    numbers = partition_numbers(settings, topic)
    consumer = Consumer(
        {
            **settings.kafka_client_config(),
            "group.id": "look",
            "enable.partition.eof": True,
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 10,
        }
    )
    consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in numbers])
    received: list[Received] = []
    open_partitions = set(numbers)
    deadline = time.monotonic() + TIMEOUT
    try:
        while open_partitions:
            assert time.monotonic() < deadline, f"{topic} could not be read to its end"
            message = consumer.poll(0.2)
            if message is None:
                continue
            if message.error() is not None:
                assert message.error().code() == KafkaError._PARTITION_EOF, message.error()
                open_partitions.discard(message.partition())
                continue
            received.append(
                Received(
                    message.partition(),
                    message.offset(),
                    message.timestamp()[1],
                    message.key(),
                    message.value(),
                    list(message.headers() or []),
                )
            )
    finally:
        consumer.close()
    return sorted(received, key=lambda message: (message.partition, message.offset))
