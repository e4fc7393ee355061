"""Messages as real producers send them: compressed, in transactions, at the limit of their size."""

from __future__ import annotations

from typing import Any

import pytest
from confluent_kafka import KafkaError, Producer

from node_import.contracts.dead_letter import read_letter
from node_import.contracts.error_codes import ErrorCode
from node_import.objects.store import ObjectStore
from node_import_tests.services.topics import Topics
from node_import_tests.services.transactions import send, transactional
from node_import_tests.support.intake_desk import Desk
from node_import_tests.support.kafka_messages import produce, read_topic

# A broker's own default of `max.message.bytes`; the tests' broker takes more unless told.
BROKER_LIMIT = 1_048_588
LIMITED = {"max.message.bytes": str(BROKER_LIMIT)}


@pytest.mark.parametrize("by", ["the producer", "the topic"])
@pytest.mark.parametrize("codec", ["lz4", "zstd", "gzip", "snappy"])
def test_compressed_requests_are_read(desk: Desk, topics: Topics, codec: str, by: str) -> None:
    """By every codec that Kafka has, whoever chose it; dead letters go into such topics too."""
    compressed = {"compression.type": codec}
    for name in (desk.topic, desk.dlt):
        topics.create(name, config=compressed if by == "the topic" else {})
    producer = Producer(
        {**desk.settings.kafka_client_config(), **(compressed if by == "the producer" else {})}
    )
    for number in range(200):
        value = desk.request(number) if number % 10 else "{"
        producer.produce(desk.topic, value, partition=0)
    assert producer.flush(20) == 0

    report = desk.tick()

    assert (report.accepted, report.rejected) == (180, 20)
    assert len(read_topic(desk.settings, desk.dlt)) == 20


def test_an_aborted_transaction_brings_no_request_and_is_passed(desk: Desk, topics: Topics) -> None:
    """Its messages are in the topic all the same: the position ends behind them and their mark."""
    topics.create(desk.topic)
    producer = transactional(desk)
    producer.begin_transaction()
    send(producer, desk.topic, desk.request(0), "{")
    producer.abort_transaction(20)

    report = desk.tick()

    assert (report.accepted, report.rejected) == (0, 0)
    assert desk.positions() == {(desk.topic, 0): 3}  # two messages and one mark
    producer.begin_transaction()
    send(producer, desk.topic, desk.request(1))
    producer.commit_transaction(20)
    assert desk.tick().accepted == 1
    assert desk.positions() == {(desk.topic, 0): 5}
    assert desk.tick().alerts == []


def test_an_open_transaction_is_waited_for(desk: Desk, topics: Topics) -> None:
    """What stands behind it waits too, in its order, until it is decided."""
    topics.create(desk.topic)
    producer = transactional(desk)
    producer.begin_transaction()
    send(producer, desk.topic, desk.request(0))
    produce(desk.settings, desk.topic, [desk.request(1)])
    waiting = desk.tick()
    assert (waiting.accepted, waiting.alerts, waiting.warnings) == (0, [], [])
    producer.commit_transaction(20)
    assert desk.tick().accepted == 2
    assert desk.jobs("request->'referenceIds'->>0") == [("ref-0",), ("ref-1",)]


def test_two_partitions_are_each_read_in_their_order(desk: Desk, topics: Topics) -> None:
    """Over ticks that are too small for all of it, nothing overtakes and nothing is lost."""
    topics.create(desk.topic, partitions=2)
    for partition in (0, 1):
        values = [desk.request(partition * 1_000 + n) for n in range(500)]
        produce(desk.settings, desk.topic, values, partition=partition)
    counts = [desk.tick(intake_max_messages=150).accepted for _ in range(8)]
    assert sum(counts) == 1_000
    read = desk.jobs("message_partition, message_offset")
    for partition in (0, 1):
        assert [offset for number, offset in read if number == partition] == list(range(500))


def largest_that_fits(desk: Desk, topic: str, make: Any) -> int:
    """Send messages `make(size)` into a topic of its own until the broker takes one.

    Returns its size; the envelope is the broker's business, so it is asked.
    """
    limits = {"message.max.bytes": 2 * BROKER_LIMIT}
    producer = Producer({**desk.settings.kafka_client_config(), **limits})
    for size in range(BROKER_LIMIT, BROKER_LIMIT - 200, -1):
        answers: list[KafkaError | None] = []
        producer.produce(
            topic,
            make(size),
            partition=0,
            on_delivery=lambda error, _: answers.append(error),  # noqa: B023 - flushed below
        )
        producer.flush(20)
        [answer] = answers
        if answer is None:
            return size
        assert answer.code() == KafkaError.MSG_SIZE_TOO_LARGE
    raise AssertionError("no message fits")


def test_the_largest_message_that_a_broker_takes_is_a_request(desk: Desk, topics: Topics) -> None:
    """To the byte: one more and the broker refuses it."""
    topics.create(desk.topic, config=LIMITED)
    empty = len(desk.request(note=""))
    size = largest_that_fits(desk, desk.topic, lambda n: desk.request(note="x" * (n - empty)))
    report = desk.tick()
    assert (report.accepted, report.rejected) == (1, 0)
    [(stored,)] = desk.jobs("length(message_value)")
    assert stored == size


def test_a_letter_that_the_broker_refuses_for_its_size_goes_without_its_value(
    desk: Desk, topics: Topics
) -> None:
    """A bad message of the largest size has no room for a letter's headers: they name an object."""
    for name in (desk.topic, desk.dlt):
        topics.create(name, config=LIMITED)
    size = largest_that_fits(desk, desk.topic, lambda n: "x" * n)
    produce(desk.settings, desk.topic, ["{", desk.request(1)], key=b"k")

    report = desk.tick()

    assert (report.accepted, report.rejected, report.alerts) == (1, 2, [])
    letters = read_topic(desk.settings, desk.dlt)
    by_value = {letter.value: read_letter(letter.headers) for letter in letters}
    assert by_value.keys() == {None, b"{"}
    without = by_value[None]
    assert without.error_code == ErrorCode.INVALID_JSON
    assert without.value_url is not None
    store = ObjectStore.from_settings(desk.settings)
    with store.open(store.pin(store.locate(without.value_url))) as value:
        assert value.read() == b"x" * size
    assert by_value[b"{"].value_url is None


def test_a_dead_letter_topic_that_cannot_be_made_holds_its_partition_back(
    desk: Desk, topics: Topics
) -> None:
    """No letter is lost: the position stays at its message until the topic can take it."""
    topics.create(desk.topic)
    topics.create(desk.dlt, config={"max.message.bytes": "1"})
    produce(desk.settings, desk.topic, [desk.request(0), "{", desk.request(1)])
    report = desk.tick()
    assert report.accepted == 1
    [alert] = report.alerts
    assert f"{desk.topic}[0] waits at offset 1" in alert
    topics.configure(desk.dlt, LIMITED)
    again = desk.tick()
    assert (again.accepted, again.rejected) == (1, 1)
