"""The consumer group in Kafka: a mirror of the positions, for the eyes of operators."""

from __future__ import annotations

from confluent_kafka import Consumer

from node_import_tests.services.kafka import run_kafka_tool
from node_import_tests.services.running import RealServices
from node_import_tests.services.topics import Topics, wait_until
from node_import_tests.services.transactions import send, transactional
from node_import_tests.support.intake_desk import Desk
from node_import_tests.support.kafka_messages import produce

LAG_TOOL = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"


def lag_of(desk: Desk, real: RealServices) -> dict[int, tuple[int, int, int]]:
    """Partition → (group's offset, end, lag), as Kafka's own tool prints it."""
    printed = run_kafka_tool(
        real.kafka_folder,
        LAG_TOOL,
        *("--bootstrap-server", desk.settings.kafka_bootstrap_servers),
        *("--describe", "--group", desk.settings.kafka_group_id),
    )
    lines = [line.split() for line in printed.splitlines() if desk.topic in line]
    return {int(line[2]): (int(line[3]), int(line[4]), int(line[5])) for line in lines}


def test_lag_tools_see_what_is_unread(desk: Desk, topics: Topics, real: RealServices) -> None:
    """kafka-consumer-groups shows the positions as the group's offsets, transactions included."""
    topics.create(desk.topic, partitions=2)
    produce(desk.settings, desk.topic, [desk.request(n) for n in range(3)])
    produce(desk.settings, desk.topic, ["{"], partition=1)
    producer = transactional(desk)
    producer.begin_transaction()
    send(producer, desk.topic, desk.request(8))
    producer.abort_transaction(20)
    desk.tick()
    assert lag_of(desk, real) == {0: (5, 5, 0), 1: (1, 1, 0)}
    produce(desk.settings, desk.topic, [desk.request(9), desk.request(10)])
    assert lag_of(desk, real)[0] == (5, 7, 2)


def test_somebody_who_subscribes_in_our_group_only_costs_the_mirror(
    desk: Desk, topics: Topics
) -> None:
    """The broker then takes no offsets from us; requests are read all the same."""
    topics.create(desk.topic)
    intruder = Consumer(
        {**desk.settings.kafka_client_config(), "group.id": desk.settings.kafka_group_id}
    )
    intruder.subscribe([desk.topic])
    try:
        wait_until(lambda: bool(intruder.poll(0.1) or intruder.assignment()))
        produce(desk.settings, desk.topic, [desk.request(1)])
        report = desk.tick()
    finally:
        intruder.close()
    assert (report.accepted, report.alerts) == (1, [])
    [warning] = report.warnings
    assert "committing group offsets" in warning
    produce(desk.settings, desk.topic, [desk.request(2)])
    later = desk.tick()
    assert (later.accepted, later.duplicates, later.warnings) == (1, 0, [])
