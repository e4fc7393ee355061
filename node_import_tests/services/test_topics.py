"""Topics come late, go, come back, grow, and forget: what the mock cluster cannot do."""

from __future__ import annotations

import time

import pytest
from confluent_kafka import Producer

from node_import.cli.request_publisher import RequestPublisher
from node_import_tests.services.topics import Topics
from node_import_tests.support.intake_desk import Desk
from node_import_tests.support.kafka_messages import produce
from node_import_tests.support.tenants import rows

DAY_MS = 86_400_000


def offsets_and_references(desk: Desk) -> list[tuple[int, str]]:
    """What was imported, in the order in which it came."""
    return desk.jobs("message_offset, request->'referenceIds'->>0")


def test_a_topic_that_is_made_late_is_found_by_the_next_tick(desk: Desk, topics: Topics) -> None:
    """No restart, no wait for a refresh of metadata."""
    assert desk.tick().positions == {}
    topics.create(desk.topic, partitions=2)
    produce(desk.settings, desk.topic, [desk.request(1)], partition=1)
    assert desk.tick().accepted == 1


def test_submit_meets_a_topic_that_somebody_makes_at_that_moment(
    desk: Desk, topics: Topics, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not there when submit looked, and it is when submit makes it: no failure."""
    monkeypatch.setattr("node_import.cli.request_publisher.LOOKS", 0)
    topics.create(desk.topic)
    publisher = RequestPublisher(desk.settings)
    identity = publisher.publish(desk.topic, b"k", desk.request(1).encode())
    assert (identity.topic, identity.partition, identity.offset) == (desk.topic, 0, 0)
    assert desk.tick().accepted == 1


def test_a_topic_that_was_deleted_and_made_again_is_another_topic(
    desk: Desk, topics: Topics
) -> None:
    """Its offsets start again at 0, and none of its messages is taken for an old one."""
    first = topics.create(desk.topic)
    produce(desk.settings, desk.topic, [desk.request(n) for n in range(3)])
    assert desk.tick().accepted == 3
    topics.delete(desk.topic)
    assert desk.tick().alerts == []
    second = topics.create(desk.topic)
    produce(desk.settings, desk.topic, [desk.request(n) for n in range(10, 15)])

    report = desk.tick()

    assert (report.accepted, report.duplicates, report.alerts) == (5, 0, [])
    old = [(n, f"ref-{n}") for n in range(3)]
    assert offsets_and_references(desk) == old + [(n, f"ref-{n + 10}") for n in range(5)]
    query = "SELECT topic_id, next_offset FROM intake_position ORDER BY next_offset"
    assert rows(desk.database, query) == [(first, 3), (second, 5)]


def test_a_topic_made_again_is_not_started_where_the_group_had_been(
    desk: Desk, topics: Topics
) -> None:
    """Kafka forgets a group's offsets with the topic; a stale one would skip what is new."""
    topics.create(desk.topic)
    produce(desk.settings, desk.topic, [desk.request(n) for n in range(5)])
    desk.tick()
    topics.delete(desk.topic)
    topics.create(desk.topic)
    produce(desk.settings, desk.topic, [desk.request(n) for n in range(7)])
    assert desk.tick().accepted == 7


def test_a_topic_that_is_deleted_in_the_middle_of_a_tick_stops_nobody(
    desk: Desk, topics: Topics
) -> None:
    """Its partitions end with a warning; other topics are read in the same tick."""
    other = f"{desk.tenant.name}-two-users"
    for topic in (desk.topic, other):
        topics.create(topic)
        produce(desk.settings, topic, [desk.request(1), "{"])

    class Deleting:
        """Sends letters, and deletes a topic before."""

        def send(self, letters: object) -> object:
            topics.delete(other)
            return desk.letters.send(letters)  # type: ignore[arg-type]

    report = desk.intake(Deleting()).tick()

    assert report.topics[desk.topic].accepted == 1
    again = desk.tick()
    assert (again.accepted, again.rejected, again.alerts) == (0, 0, [])
    produce(desk.settings, desk.topic, [desk.request(2)])
    assert desk.tick().accepted == 1


def test_a_partition_that_is_added_is_read_from_its_beginning(desk: Desk, topics: Topics) -> None:
    """Also what was written before anybody noticed the partition."""
    topics.create(desk.topic, partitions=1)
    produce(desk.settings, desk.topic, [desk.request(0)])
    desk.tick()
    topics.grow(desk.topic, partitions=3)
    for partition in (1, 2):
        produce(desk.settings, desk.topic, [desk.request(partition)], partition=partition)

    report = desk.tick()

    assert (report.accepted, report.alerts) == (2, [])
    assert desk.positions() == {(desk.topic, n): 1 for n in range(3)}


def test_what_retention_took_is_alerted_and_the_rest_is_read(desk: Desk, topics: Topics) -> None:
    """The stored position lies before the first message that is left."""
    topics.create(desk.topic, config={"retention.ms": "-1"})
    three_days_ago = int(time.time() * 1000) - 3 * DAY_MS
    producer = Producer(desk.settings.kafka_client_config())
    for number in range(4):
        value = desk.request(number)
        producer.produce(desk.topic, value, partition=0, timestamp=three_days_ago)
    assert producer.flush(20) == 0
    assert desk.tick(intake_max_messages=1).accepted == 1
    topics.configure(desk.topic, {"retention.ms": str(DAY_MS)})
    topics.wait_for_retention(desk.topic, low=4)
    produce(desk.settings, desk.topic, [desk.request(4)])

    report = desk.tick()

    assert report.accepted == 1
    [alert] = report.alerts
    assert f"{desk.topic}[0]: position 1 is out of range, the topic holds 4 to 5" in alert
    assert offsets_and_references(desk) == [(0, "ref-0"), (4, "ref-4")]
    assert desk.tick().alerts == []
