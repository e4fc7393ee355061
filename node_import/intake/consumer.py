"""Reads messages from given offsets until a limit, a deadline, or the end of every partition.

Partitions are assigned, never subscribed to: a rebalance a tick is slow and loses control. A
consumer lives for one tick, because one that outlives a broker can hang without an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from confluent_kafka import Consumer, KafkaException, TopicPartition

from node_import.intake.positions import Partition
from node_import.intake.reading import MAX_BATCH_BYTES, Batch, FairReading
from node_import.kafka import LOGGER, ClientConfig
from node_import.settings import Settings
from node_import.sizes import KIB

REQUEST_SECONDS = 10.0

_CONSUMER_CONFIG = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "error",
    "isolation.level": "read_committed",
    # How long a broker waits at the end of a partition before it says so: the default, 500 ms,
    # would make every tick last that long.
    "fetch.wait.max.ms": 10,
    "queued.max.messages.kbytes": MAX_BATCH_BYTES // KIB,
}


class RequestConsumer:
    """A consumer of one tick."""

    def __init__(self, settings: Settings, cluster_id: str) -> None:
        own = {**_CONSUMER_CONFIG, "group.id": settings.kafka_group_id}
        self._config = ClientConfig(settings.kafka_client_config(), own)
        self._cluster_id = cluster_id

    def __enter__(self) -> RequestConsumer:
        return self

    def __exit__(self, *_: object) -> None:
        if "_consumer" in self.__dict__:
            self._consumer.close()

    @cached_property
    def _consumer(self) -> Consumer:
        """Made when it is first needed: a quiet tick needs none."""
        return Consumer(self._config.values, logger=LOGGER)

    def committed(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The group's committed offsets, where there are any.

        Raises:
            TransientError: KAFKA_UNAVAILABLE.
        """
        asked = {(partition.topic.name, partition.number): partition for partition in partitions}
        if not asked:
            return {}
        try:
            answers = self._consumer.committed(
                [TopicPartition(*key) for key in asked], timeout=REQUEST_SECONDS
            )
        except KafkaException as error:
            raise self._config.failure("asking for committed offsets", error) from error
        for answer in answers:
            if answer.error is not None:
                raise self._config.failure("asking for committed offsets", answer.error)
        return {
            asked[answer.topic, answer.partition]: answer.offset
            for answer in answers
            if answer.offset >= 0
        }

    def read(self, starts: Mapping[Partition, int], *, max_messages: int, deadline: float) -> Batch:
        """Read on from `starts` until all is read, or `max_messages`, 32 MiB, or `deadline`.

        A partition that fails ends alone, with a warning. `deadline` is of `time.monotonic`.

        Raises:
            TransientError: KAFKA_UNAVAILABLE.
        """
        self._consumer.assign(
            [TopicPartition(p.topic.name, p.number, offset) for p, offset in starts.items()]
        )
        reading = FairReading(self._consumer, self._cluster_id, starts, max_messages)
        try:
            return reading.run(deadline)
        except KafkaException as error:
            raise self._config.failure("reading requests", error) from error

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Let the group's offsets mirror the positions.

        Raises:
            TransientError: KAFKA_UNAVAILABLE; nothing depends on it but lag tools.
        """
        positions = [
            TopicPartition(partition.topic.name, partition.number, offset)
            for partition, offset in offsets.items()
        ]
        try:
            answers = self._consumer.commit(offsets=positions, asynchronous=False)
        except KafkaException as error:
            raise self._config.failure("committing group offsets", error) from error
        for answer in answers or ():
            if answer.error is not None:
                raise self._config.failure("committing group offsets", answer.error)
