"""The embedded Kafka: librdkafka's mock cluster, inside this process.

It listens on a real loopback port that every Kafka client can use. Its limits:

- It lives in memory and ends with this process; afterwards offsets start at 0 again, and the
  cluster id is another one.
- It keeps the newest 5 MB or so of a partition.
- A topic comes into being, with four partitions, when somebody first asks for it.
- librdkafka chooses the port, from the range of client ports; it differs from start to start.
"""

from __future__ import annotations

import logging

from confluent_kafka import KafkaException, Producer

from node_import.stack.start_failure import StartFailed

logger = logging.getLogger(__name__)
START_SECONDS = 10.0


class KafkaCluster:
    """One broker; it listens as long as this object is started."""

    def __init__(self) -> None:
        self._client: Producer | None = None
        self.bootstrap_servers = ""

    def start(self) -> None:
        """Start the broker and learn its address."""
        client = Producer(
            {"test.mock.num.brokers": 1, "log_level": 3, "logger": logger, "client.id": "stack"}
        )
        try:
            brokers = client.list_topics(timeout=START_SECONDS).brokers.values()
        except KafkaException as error:
            raise StartFailed("Kafka's mock cluster", str(error)) from error
        self.bootstrap_servers = ",".join(f"{broker.host}:{broker.port}" for broker in brokers)
        self._client = client

    def is_running(self) -> bool:
        """Started and not stopped; it cannot die alone."""
        return self._client is not None

    def stop(self) -> None:
        """Forget all topics."""
        self._client = None
