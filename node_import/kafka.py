"""What all our Kafka clients have in common: their configuration, their log, their failures."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from node_import.contracts.error_codes import ErrorCode
from node_import.errors import TransientError

# librdkafka writes to standard error unless it is given a logger: 20 lines a second of a broker
# that is down.
LOGGER = logging.getLogger("node_import.kafka")
RECONNECT_BACKOFF_MS = 500


class ClientConfig:
    """The configuration of one client, and the last thing that it complained of.

    librdkafka tells the cause of trouble (a refused connection, a wrong password) to a callback,
    while the call in hand merely times out; `failure` puts the two together.
    """

    def __init__(self, base: Mapping[str, Any], own: Mapping[str, Any] | None = None) -> None:
        """`base` is `Settings.kafka_client_config()`; `own` wins over it: correctness needs it."""
        self._complaint: str | None = None
        self.values: dict[str, Any] = {
            "reconnect.backoff.ms": RECONNECT_BACKOFF_MS,
            **base,
            **(own or {}),
            "error_cb": self._complain,
        }

    def failure(self, doing: str, error: KafkaError | KafkaException) -> TransientError:
        """What to raise when Kafka did not do what was asked."""
        cause = error.args[0] if isinstance(error, KafkaException) else error
        text = cause.str() if isinstance(cause, KafkaError) else str(cause)
        complaint = f" ({self._complaint})" if self._complaint else ""
        return TransientError(ErrorCode.KAFKA_UNAVAILABLE, f"Kafka, {doing}: {text}{complaint}")

    def _complain(self, error: KafkaError) -> None:
        # That all brokers are down is told last, after why, and says less.
        if self._complaint is None or error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
            self._complaint = error.str()
