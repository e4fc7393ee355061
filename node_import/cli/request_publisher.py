"""Putting one request on its topic, and learning which message it became."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from confluent_kafka import (
    TIMESTAMP_NOT_AVAILABLE,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from node_import.cli.kafka_clients import (
    ANSWER_SECONDS,
    consumer_config,
    kafka_failure,
    kafka_failures,
    producer_config,
)
from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.identity import MessageIdentity
from node_import.errors import TransientError
from node_import.kafka import LOGGER

if TYPE_CHECKING:
    from node_import.settings import Settings

LOOKS = 3  # at a topic that is just being made, before we make it ourselves
LOOKS_AFTER_MAKING = 30  # a busy broker takes seconds
BETWEEN_LOOKS = 0.3  # seconds
BROKER_DEFAULT = -1
NO_TIMESTAMP = -1


class RequestPublisher:
    """Publishes one request, with confirmed delivery."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._config = producer_config(settings)
        with kafka_failures(self._config, "making a producer"):
            self._producer = Producer(self._config.values, logger=LOGGER)

    def publish(self, topic: str, key: bytes, value: bytes) -> MessageIdentity:
        """Publish, and return the identity of the message as every consumer reads it.

        The message is read back because the identity holds the timestamp, and a delivery report
        need not tell the one that the broker kept (message.timestamp.type=LogAppendTime).
        The topic is made if it is missing. Raises TransientError KAFKA_UNAVAILABLE, and
        UsageError if the message is too large.
        """
        self._make_sure_of(topic)
        partition, offset = self._deliver(topic, key, value)
        return self._read_back(TopicPartition(topic, partition, offset))

    def _make_sure_of(self, topic: str) -> None:
        with kafka_failures(self._config, f"making sure of the topic {topic}"):
            if self._comes_into_being(topic, LOOKS):
                return
            self._make(topic)
            if not self._comes_into_being(topic, LOOKS_AFTER_MAKING):
                message = f"Kafka has no topic {topic}, and made none when it was asked to"
                raise TransientError(ErrorCode.KAFKA_UNAVAILABLE, message)

    def _make(self, topic: str) -> None:
        admin = AdminClient(self._settings.kafka_client_config(), logger=LOGGER)
        new = NewTopic(topic, num_partitions=BROKER_DEFAULT, replication_factor=BROKER_DEFAULT)
        try:
            admin.create_topics([new])[topic].result(ANSWER_SECONDS)
        except KafkaException as error:
            # A broker that makes topics for producers was at it, since we have looked.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise

    def _comes_into_being(self, topic: str, looks: int) -> bool:
        """Whether the topic is there; most brokers make one that a producer asks for."""
        for look in range(looks):
            if look:
                time.sleep(BETWEEN_LOOKS)
            found = self._producer.list_topics(topic, ANSWER_SECONDS).topics[topic]
            if found.error is None and found.partitions:
                return True
        return False

    def _deliver(self, topic: str, key: bytes, value: bytes) -> tuple[int, int]:
        """The partition and offset under which the broker has it."""
        doing = f"sending to {topic}"
        reports: list[tuple[KafkaError | None, Message]] = []

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            reports.append((error, message))

        with kafka_failures(self._config, doing):
            self._producer.produce(topic, key=key, value=value, on_delivery=on_delivery)
            # Longer than message.timeout.ms: the report comes, whatever it says.
            self._producer.flush(3 * ANSWER_SECONDS)
        if not reports:
            message = "Kafka did not confirm the request in time; look with `node-import jobs list`"
            raise TransientError(ErrorCode.KAFKA_UNAVAILABLE, message)
        error, delivered = reports[0]
        if error is not None:
            raise kafka_failure(self._config, doing, error)
        return delivered.partition() or 0, delivered.offset() or 0

    def _read_back(self, place: TopicPartition) -> MessageIdentity:
        config = consumer_config(self._settings)
        with kafka_failures(config, f"reading {place.topic} back"):
            consumer = Consumer(config.values, logger=LOGGER)
            try:
                message = _message_at(consumer, place)
                cluster_id = str(consumer.list_topics(place.topic, ANSWER_SECONDS).cluster_id)
            finally:
                consumer.close()
        kind, timestamp_ms = message.timestamp()
        return MessageIdentity(
            cluster_id,
            place.topic,
            place.partition,
            place.offset,
            NO_TIMESTAMP if kind == TIMESTAMP_NOT_AVAILABLE else timestamp_ms,
        )


def _message_at(consumer: Consumer, place: TopicPartition) -> Message:
    consumer.assign([place])
    message = consumer.poll(ANSWER_SECONDS)
    if message is None or message.error() is not None or message.offset() != place.offset:
        text = (
            f"the request stands at {place.topic}[{place.partition}]@{place.offset}, but could "
            "not be read back; `node-import jobs list` shows its job"
        )
        raise TransientError(ErrorCode.KAFKA_UNAVAILABLE, text)
    return message
