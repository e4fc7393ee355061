"""Topics as an operator makes, changes and deletes them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from node_import.settings import Settings

TIMEOUT = 120.0  # seconds; machines are busy


class Topics:
    """An admin client of the cluster that the settings name; every call waits until it is done."""

    def __init__(self, settings: Settings) -> None:
        self._config = settings.kafka_client_config()
        self._admin = AdminClient(self._config)

    def create(
        self, name: str, partitions: int = 1, config: Mapping[str, str] | None = None
    ) -> str:
        """Make a topic and return its id."""
        topic = NewTopic(name, partitions, replication_factor=1, config=dict(config or {}))
        self._admin.create_topics([topic])[name].result(TIMEOUT)
        wait_until(lambda: name in self.names())
        described = self._admin.describe_topics(TopicCollection([name]))[name].result(TIMEOUT)
        return str(described.topic_id)

    def delete(self, name: str) -> None:
        """Delete a topic and all that is in it."""
        self._admin.delete_topics([name])[name].result(TIMEOUT)
        wait_until(lambda: name not in self.names())

    def grow(self, name: str, partitions: int) -> None:
        """Add partitions, until there are so many."""
        self._admin.create_partitions([NewPartitions(name, partitions)])[name].result(TIMEOUT)
        wait_until(lambda: len(self._metadata()[name].partitions) == partitions)

    def configure(self, name: str, config: Mapping[str, str]) -> None:
        """Change settings of a topic."""
        entries = [
            ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET)
            for key, value in config.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
        self._admin.incremental_alter_configs([resource])[resource].result(TIMEOUT)

    def names(self) -> set[str]:
        """All topics."""
        return set(self._metadata())

    def wait_for_retention(self, name: str, low: int, partition: int = 0) -> None:
        """Wait until the partition begins at `low`."""
        wait_until(lambda: self.low(name, partition) == low)

    def low(self, name: str, partition: int = 0) -> int:
        """The offset of the first message that is still there."""
        asked = TopicPartition(name, partition)
        answers = self._admin.list_offsets(
            {asked: OffsetSpec.earliest()}  # type: ignore[no-untyped-call]
        )
        return int(answers[asked].result(TIMEOUT).offset)

    def _metadata(self) -> Mapping[str, Any]:
        # A client of its own: one that lives on may remember a topic that is gone.
        return AdminClient(self._config).list_topics(timeout=TIMEOUT).topics


def wait_until(condition: Callable[[], bool], seconds: float = TIMEOUT) -> None:
    """Look until it is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.1)
