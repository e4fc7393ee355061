"""The services of the test session do what the tests of other rooms rely on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import psycopg
from confluent_kafka import Consumer, Producer

from node_import.settings import Settings
from node_import_tests.support.databases import TestDatabase

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def test_importer_connects_to_a_migrated_database(settings: Settings) -> None:
    """The role of the settings finds the tables and owns none of them."""
    with psycopg.connect(settings.postgres_dsn.get_secret_value()) as conn:
        owners = conn.execute(
            "SELECT tablename, tableowner FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
    assert {"nodes", "nodes_import_job"} <= {name for name, _ in owners}
    assert "ni_importer" not in {owner for _, owner in owners}


def test_each_database_is_empty(database: TestDatabase) -> None:
    """What another test wrote is not there."""
    with database.connect() as conn:
        assert conn.execute("SELECT count(*) FROM nodes").fetchone() == (0,)


def test_kafka_carries_a_message(settings: Settings, unique_name: Callable[[str], str]) -> None:
    """Another client reads what one client wrote."""
    topic = unique_name("acme") + "-users"
    producer = Producer(settings.kafka_client_config())
    producer.produce(topic, b"value", b"key")
    assert producer.flush(10) == 0
    consumer = Consumer(
        {
            **settings.kafka_client_config(),
            "group.id": settings.kafka_group_id,
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([topic])
    message = consumer.poll(20)
    consumer.close()
    assert message is not None
    assert (message.key(), message.value()) == (b"key", b"value")


def test_object_store_keeps_an_object(s3_client: S3Client, bucket: str) -> None:
    """An object that was put can be read back."""
    s3_client.put_object(Bucket=bucket, Key="in/users.csv", Body=b"id\n1\n")
    assert s3_client.get_object(Bucket=bucket, Key="in/users.csv")["Body"].read() == b"id\n1\n"
