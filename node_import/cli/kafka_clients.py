"""Kafka clients of the command line, and what it says when Kafka does not do what was asked."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException

from node_import.errors import TransientError, UsageError
from node_import.kafka import LOGGER, ClientConfig

if TYPE_CHECKING:
    from node_import.settings import Settings

ANSWER_SECONDS = 10.0  # for a broker to answer one question


def keep_librdkafka_quiet() -> None:
    """What matters comes as an exception; librdkafka's own lines would mix with ours."""
    LOGGER.addHandler(logging.NullHandler())
    LOGGER.propagate = False


keep_librdkafka_quiet()


def producer_config(settings: Settings) -> ClientConfig:
    """For a producer that neither loses nor doubles a message while it lives."""
    own = {
        "enable.idempotence": True,
        "linger.ms": 0,
        "message.timeout.ms": int(2 * ANSWER_SECONDS * 1000),
    }
    return ClientConfig(settings.kafka_client_config(), own)


def consumer_config(settings: Settings) -> ClientConfig:
    """For a consumer that is assigned partitions; it joins no group and commits nothing."""
    own = {
        "group.id": f"{settings.kafka_group_id}-cli",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "fetch.wait.max.ms": 50,
    }
    return ClientConfig(settings.kafka_client_config(), own)


@contextmanager
def kafka_failures(config: ClientConfig, doing: str) -> Iterator[None]:
    """Turn Kafka's errors while `doing` something into ours, which say what to do about it."""
    try:
        yield
    except KafkaException as error:
        raise kafka_failure(config, doing, error.args[0]) from error


def kafka_failure(
    config: ClientConfig, doing: str, error: KafkaError
) -> TransientError | UsageError:
    """Our error for one of Kafka's."""
    if error.code() == KafkaError._INVALID_ARG:  # noqa: SLF001 - the public name of that code
        return UsageError(f"NODE_IMPORT_KAFKA_CONFIG is not understood: {error.str()}")
    if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
        return UsageError("the request is too large for Kafka; put its references into a file")
    failure = config.failure(doing, error)
    hint = "check NODE_IMPORT_KAFKA_BOOTSTRAP_SERVERS, NODE_IMPORT_KAFKA_CONFIG and the brokers"
    return TransientError(failure.code, f"{failure.message}; {hint}")
