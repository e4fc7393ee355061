"""Topics that change under the positions, and messages that are gone before they are read."""

from __future__ import annotations

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from node_import_tests.faults.conductor import Conductor
from node_import_tests.faults.model import Applied, nodes_of
from node_import_tests.faults.observed import observe
from node_import_tests.faults.operating import finish
from node_import_tests.faults.requests import Kind, Producer
from node_import_tests.faults.world import World
from node_import_tests.services.topics import Topics


@pytest.mark.quick
def test_a_topic_is_deleted_and_made_again(world: World) -> None:
    """Its offsets begin at 0 again: new messages are new jobs, old jobs stay as they are."""
    producer = Producer(6)
    [domain] = world.domains
    world.send(*(producer.file(domain, "g", rows=30) for _ in range(2)))
    conductor = Conductor(world)
    assert finish(conductor) == []
    old = imported(world)

    topics = Topics(world.direct)
    topics.delete(world.topic(domain))
    topics.create(world.topic(domain))
    world.sent.clear()
    later = producer.file(domain, "h", rows=25)
    world.send(later, producer.refused(domain, "h", Kind.TWO_SOURCES))
    conductor.run_until(lambda: len(imported(world)) == 3)
    conductor.run_until_quiet()
    new = imported(world)
    assert new[:2] == old
    assert [(offset, status) for _, offset, status in new] == [
        (0, "COMPLETED"),
        (1, "COMPLETED"),
        (0, "COMPLETED"),
    ]
    observed = observe(world)
    found = observed.nodes[world.tenants[domain].groups["h"]]
    assert {ref: {node} for ref, node in found.items()} == nodes_of([Applied(later)]).states
    assert [(letter.place[1], letter.code) for letter in observed.letters] == [
        (1, "AMBIGUOUS_SOURCE")
    ]


def imported(world: World) -> list[tuple[object, ...]]:
    """(id, offset, status) of all jobs, the oldest first."""
    with world.database.connect() as conn:
        query = "SELECT id, message_offset, status FROM nodes_import_job ORDER BY sequence_no"
        return conn.execute(query).fetchall()


def test_retention_passed_the_position(world: World) -> None:
    """What is gone cannot be read; the rest is, and the tick says that something is missing."""
    producer = Producer(8)
    [domain] = world.domains
    world.send(*(producer.file(domain, "g", rows=20) for _ in range(2)))
    conductor = Conductor(world)
    assert finish(conductor) == []

    lost = [producer.file(domain, "g", rows=20) for _ in range(3)]
    world.send(*lost, producer.file(domain, "g", rows=50))
    admin = AdminClient(world.direct.kafka_client_config())
    gone = TopicPartition(world.topic(domain), 0, 5)
    admin.delete_records([gone])[gone].result(30)
    for place in [place for place, request in world.sent.items() if request in lost]:
        del world.sent[place]
    before = len(world.processes)
    assert finish(conductor) == []
    said = "".join(process.tail(1_000) for process in world.processes[before:])
    assert "position 2 is out of range" in said
