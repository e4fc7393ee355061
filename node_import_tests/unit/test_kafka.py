"""What all Kafka clients have in common."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

from node_import.kafka import ClientConfig


def test_a_failure_names_its_cause_and_not_its_effect() -> None:
    """librdkafka says why, then that all brokers are down, and the call merely times out."""
    config = ClientConfig({})
    complain = config.values["error_cb"]
    for code, text in (
        (KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"),
        (KafkaError._AUTHENTICATION, "Authentication failed"),
        (KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"),
    ):
        complain(KafkaError(code, text))
    timed_out = KafkaException(KafkaError(KafkaError._TIMED_OUT, "timed out"))
    failure = config.failure("asking for topics", timed_out)
    assert failure.message == "Kafka, asking for topics: timed out (Authentication failed)"
