"""Confirmed means that the broker said so."""

from __future__ import annotations

import json
from collections.abc import Callable

from pydantic import SecretStr

from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.message import OutgoingMessage
from node_import.publishing.confirmed_producer import ConfirmedProducer
from node_import.settings import Settings
from node_import.sizes import MIB
from node_import_tests.support.kafka_messages import read_topic


def test_every_message_is_answered_for(
    settings: Settings, unique_name: Callable[[str], str]
) -> None:
    """Thousands at once, each with its own answer, and all of them are in the topic."""
    topic = unique_name("sent")
    messages = [OutgoingMessage(topic, b"k", str(n).encode(), (("h", None),)) for n in range(3_000)]
    with ConfirmedProducer.from_settings(settings) as producer:
        assert producer.send(messages) == [None] * 3_000
        assert producer.send([]) == []
    assert [m.value for m in read_topic(settings, topic)] == [m.value for m in messages]


def test_a_broker_that_is_away_confirms_nothing(settings: Settings) -> None:
    """An outage, with what the client complained of; it is found out in time."""
    config = {**settings.kafka_client_config(), "bootstrap.servers": "127.0.0.1:9"}
    with ConfirmedProducer(config, idempotent=False, delivery_seconds=1) as producer:
        [failure] = producer.send([OutgoingMessage("acme-users-dlt", None, b"v")])
    assert failure is not None
    assert failure.error.code is ErrorCode.KAFKA_UNAVAILABLE
    assert "acme-users-dlt" in failure.error.message
    assert "127.0.0.1:9" in failure.error.message
    assert not failure.too_large


def test_an_outage_costs_the_time_of_one_chunk(settings: Settings) -> None:
    """What comes after a chunk that nobody took is not even tried; each message is answered."""
    config = {**settings.kafka_client_config(), "bootstrap.servers": "127.0.0.1:9"}
    messages = [OutgoingMessage("sent", None, bytes(MIB - 1_000))] * 20
    with ConfirmedProducer(config, idempotent=False, delivery_seconds=1) as producer:
        reasons = [failure.error.message for failure in producer.send(messages) if failure]
    assert len(reasons) == 20
    assert ["nothing before it" in reason for reason in reasons] == [False] * 8 + [True] * 12


def test_more_than_a_chunk_is_sent_whole(
    settings: Settings, unique_name: Callable[[str], str]
) -> None:
    """Messages that the broker refuses stop none of those behind them."""
    topic = unique_name("sent")
    refused = [OutgoingMessage(topic, None, bytes(9 * MIB))] * 2
    good = [OutgoingMessage(topic, None, bytes(MIB // 2)) for _ in range(20)]
    with ConfirmedProducer.from_settings(settings, idempotent=False) as producer:
        answers = producer.send([*refused, *good])
    assert answers[2:] == [None] * 20


def test_a_topic_that_cannot_be_is_a_failure_of_its_message_alone(
    settings: Settings, unique_name: Callable[[str], str]
) -> None:
    """The others are sent."""
    topic = unique_name("sent")
    names = [topic, "no topic has this name!", topic]
    with ConfirmedProducer(
        settings.kafka_client_config(), idempotent=False, delivery_seconds=2
    ) as producer:
        answers = producer.send([OutgoingMessage(name, None, b"v") for name in names])
    assert (answers[0], answers[2]) == (None, None)


def test_the_broker_decides_what_is_too_large(
    settings: Settings, unique_name: Callable[[str], str]
) -> None:
    """Not the client, whose own limit of a million bytes is below that of a broker."""
    config = {
        "message.max.bytes": 1_000_000,
        **json.loads(settings.kafka_config.get_secret_value()),
    }
    own = settings.model_copy(update={"kafka_config": SecretStr(json.dumps(config))})
    with ConfirmedProducer.from_settings(own, idempotent=False) as producer:
        message = OutgoingMessage(unique_name("large"), None, b"x" * 1_020_000)
        assert producer.send([message]) == [None]
