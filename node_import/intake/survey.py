"""A look at the cluster: which request topics there are, and what their partitions hold.

One metadata request and one or two for offsets: a tick that finds nothing new ends here, without
a consumer.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from confluent_kafka import IsolationLevel, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ClusterMetadata,
    OffsetSpec,
)

from node_import.contracts.topics import LetterTopics, RequestTopic, RequestTopics
from node_import.errors import TransientError
from node_import.intake.positions import Partition
from node_import.kafka import LOGGER, ClientConfig
from node_import.settings import Settings

METADATA_SECONDS = 10.0

# librdkafka's mock cluster says so in its id. It has no controller and no topic ids, and would
# keep a question for them waiting until it times out; its topics live as long as the cluster.
MOCK_CLUSTER_PREFIX = "mockCluster"


@dataclass(frozen=True, slots=True)
class Topology:
    """The partitions of all topics of one kind in a cluster, and which could not be looked at."""

    cluster_id: str
    partitions: tuple[Partition, ...]
    warnings: list[str] = field(default_factory=list)


class Surveyor:
    """Asks the cluster, as an admin client. For one tick: a new client knows new topics at once."""

    def __init__(self, settings: Settings) -> None:
        self._config = ClientConfig(settings.kafka_client_config())
        self._admin = AdminClient(self._config.values, logger=LOGGER)

    def topology(self, topics: RequestTopics | LetterTopics) -> Topology:
        """Which topics of that kind there are now.

        Raises:
            TransientError: KAFKA_UNAVAILABLE.
        """
        try:
            metadata = self._admin.list_topics(timeout=METADATA_SECONDS)
        except KafkaException as error:
            self._admin.poll(0)  # lets the client tell its complaint
            raise self._config.failure("asking for topics", error) from error
        found = [request for name in metadata.topics if (request := topics.parse(name))]
        cluster_id = str(metadata.cluster_id)
        ids = self._topic_ids(cluster_id, found)
        partitions = [
            Partition(topic, ids[topic.name], number)
            for topic in found
            for number in sorted(metadata.topics[topic.name].partitions)
        ]
        return Topology(cluster_id, tuple(partitions), _broken(found, metadata))

    def latest(self, partitions: Collection[Partition]) -> Mapping[Partition, int | TransientError]:
        """Where each partition ends for a reader of committed messages."""
        return self._offsets(partitions, OffsetSpec.latest())  # type: ignore[no-untyped-call]

    def earliest(
        self, partitions: Collection[Partition]
    ) -> Mapping[Partition, int | TransientError]:
        """Where each partition begins, after what retention has removed."""
        return self._offsets(partitions, OffsetSpec.earliest())  # type: ignore[no-untyped-call]

    def _topic_ids(self, cluster_id: str, topics: Collection[RequestTopic]) -> Mapping[str, str]:
        names = [topic.name for topic in topics]
        if not names or cluster_id.startswith(MOCK_CLUSTER_PREFIX):
            return {name: name for name in names}
        answers = self._admin.describe_topics(
            TopicCollection(names), request_timeout=METADATA_SECONDS
        )
        try:
            described = {name: answer.result() for name, answer in answers.items()}
        except KafkaException as error:
            raise self._config.failure("asking for topic ids", error) from error
        return {name: str(topic.topic_id or name) for name, topic in described.items()}

    def _offsets(
        self, partitions: Collection[Partition], which: OffsetSpec
    ) -> Mapping[Partition, int | TransientError]:
        if not partitions:
            return {}
        asked = {
            TopicPartition(partition.topic.name, partition.number): partition
            for partition in partitions
        }
        answers = self._admin.list_offsets(
            dict.fromkeys(asked, which),
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=METADATA_SECONDS,
        )
        return {asked[key]: self._offset(asked[key], answer) for key, answer in answers.items()}

    def _offset(
        self, partition: Partition, answer: concurrent.futures.Future[object]
    ) -> int | TransientError:
        try:
            return int(answer.result().offset)  # type: ignore[attr-defined]
        except KafkaException as error:
            return self._config.failure(f"asking for the offsets of {partition}", error)


def _broken(topics: Collection[RequestTopic], metadata: ClusterMetadata) -> list[str]:
    """Topics that the cluster knows and cannot serve just now; their partitions are missing."""
    return [
        f"{topic.name}: {error.str()}"
        for topic in topics
        if (error := metadata.topics[topic.name].error) is not None
    ]
