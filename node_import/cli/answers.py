"""Waiting for the answer to a request: its status message, or the dead letter it became."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition

from node_import.cli.kafka_clients import ANSWER_SECONDS, consumer_config, kafka_failures
from node_import.cli.letter_document import letter_document, readable
from node_import.contracts.dead_letter import read_letter
from node_import.contracts.identity import MessageIdentity
from node_import.contracts.message import Headers
from node_import.contracts.topics import dead_letter_topic
from node_import.kafka import LOGGER

if TYPE_CHECKING:
    from node_import.settings import Settings

POLL_SECONDS = 0.25
LOOK_FOR_TOPICS_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came: the value of the status message, or what the dead letter says."""

    status: dict[str, Any] | None = None
    dead_letter: dict[str, Any] | None = None

    @property
    def is_good(self) -> bool:
        """Whether every row was imported."""
        return self.status is not None and self.status["status"] == "COMPLETED"


class Answers:
    """The ends of the status topic and of a request topic's dead letters, from now on.

    Open it before the request is published, or the answer may come before anybody looks. Topics
    that do not exist yet are read from their beginning once they do.
    """

    def __init__(self, settings: Settings, request_topic: str) -> None:
        self._config = consumer_config(settings)
        self._status_topic = settings.status_topic
        self._letter_topic = dead_letter_topic(request_topic, settings.dlt_suffix)
        self._places: dict[tuple[str, int], TopicPartition] = {}
        with kafka_failures(self._config, "making a consumer"):
            self._consumer = Consumer(self._config.values, logger=LOGGER)
        self._looked_at = 0.0
        self._find_partitions(at_end=True)

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def wait_for(
        self,
        identity: MessageIdentity,
        job_id: UUID,
        timeout: float,
        on_look: Callable[[], None] = lambda: None,
    ) -> Answer | None:
        """The answer to that request; None after `timeout` seconds. `on_look` is called often.

        A dead letter of a job comes beside its status message, which is waited for and says more;
        a letter of a message that never became a job is all there will be.
        """
        deadline = time.monotonic() + timeout
        letter: dict[str, Any] | None = None
        while time.monotonic() < deadline:
            on_look()
            message = self._next_message()
            if message is None:
                continue
            if message.topic() == self._status_topic and _key(message) == str(job_id):
                return Answer(status=json.loads(message.value() or b""))
            if message.topic() == self._letter_topic and _is_letter_of(message, identity, job_id):
                letter = _document(message)
                if letter["jobId"] is None:
                    break
        return Answer(dead_letter=letter) if letter else None

    def _next_message(self) -> Message | None:
        if time.monotonic() - self._looked_at > LOOK_FOR_TOPICS_SECONDS:
            self._find_partitions(at_end=False)
        message = self._consumer.poll(POLL_SECONDS)
        return message if message is not None and message.error() is None else None

    def _find_partitions(self, *, at_end: bool) -> None:
        with kafka_failures(self._config, "looking for answers"):
            topics = self._consumer.list_topics(timeout=ANSWER_SECONDS).topics
            new = [
                TopicPartition(name, partition)
                for name in (self._status_topic, self._letter_topic)
                if name in topics
                for partition in topics[name].partitions
                if (name, partition) not in self._places
            ]
            for place in new:
                place.offset = self._end_of(place) if at_end else OFFSET_BEGINNING
                self._places[place.topic, place.partition] = place
            if new:
                self._consumer.incremental_assign(new)
        self._looked_at = time.monotonic()

    def _end_of(self, place: TopicPartition) -> int:
        marks = self._consumer.get_watermark_offsets(place, timeout=ANSWER_SECONDS)
        return int(marks[1]) if marks else OFFSET_BEGINNING


def _document(message: Message) -> dict[str, Any]:
    key = message.key()
    return letter_document(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        message.timestamp()[1],
        key.encode() if isinstance(key, str) else key,
        read_letter(_headers(message)),
    )


def _is_letter_of(message: Message, identity: MessageIdentity, job_id: UUID) -> bool:
    info = read_letter(_headers(message))
    return info.job_id == job_id or info.original_identity(identity.cluster_id) == identity


def _headers(message: Message) -> Headers:
    """confluent-kafka's stubs allow more shapes than it gives."""
    return cast("Headers", tuple(message.headers() or ()))


def _key(message: Message) -> str | None:
    key = message.key()
    return readable(key) if isinstance(key, bytes) else key
