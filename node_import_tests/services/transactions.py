"""Producers whose messages count once their transaction is committed."""

from __future__ import annotations

from confluent_kafka import Producer

from node_import_tests.support.intake_desk import Desk


def transactional(desk: Desk) -> Producer:
    """Such a producer, ready to begin a transaction."""
    config = {**desk.settings.kafka_client_config(), "transactional.id": desk.tenant.name}
    producer = Producer(config)
    producer.init_transactions(20)
    return producer


def send(producer: Producer, topic: str, *values: str) -> None:
    """Put `values` into the open transaction and wait until the broker has them."""
    for value in values:
        producer.produce(topic, value, partition=0)
    assert producer.flush(20) == 0
