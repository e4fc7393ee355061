"""Events of the client become messages."""

from __future__ import annotations

from typing import Any

from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_NOT_AVAILABLE

from node_import.contracts.identity import MessageIdentity
from node_import.contracts.message import Message
from node_import.intake.reading import read_message


class Event:
    """A message as confluent-kafka hands it out."""

    def __init__(self, timestamp: tuple[int, int], headers: Any) -> None:
        self.timestamp = lambda: timestamp
        self._headers = headers

    def topic(self) -> str:
        return "acme-users"

    def partition(self) -> int:
        return 1

    def offset(self) -> int:
        return 7

    def key(self) -> bytes | None:
        return None

    def value(self) -> bytes:
        return b"{}"

    def headers(self) -> Any:
        if isinstance(self._headers, Exception):
            raise self._headers
        return self._headers


def test_a_message_without_a_timestamp_has_minus_one() -> None:
    """As Kafka's own clients say it."""
    event: Any = Event((TIMESTAMP_NOT_AVAILABLE, 0), None)
    identity = MessageIdentity("c", "acme-users", 1, 7, -1)
    assert read_message(event, "c") == (Message(identity, None, b"{}"), False)


def test_headers_stand_as_they_came() -> None:
    """Repeats and missing values too."""
    event: Any = Event((TIMESTAMP_CREATE_TIME, 5), [("a", b"1"), ("a", None)])
    message, headers_lost = read_message(event, "c")
    assert (message.headers, headers_lost) == ((("a", b"1"), ("a", None)), False)
    assert message.identity.timestamp_ms == 5


def test_a_header_name_that_is_not_utf8_costs_the_headers_and_not_the_message() -> None:
    """confluent-kafka 2.16 raises SystemError there."""
    event: Any = Event((TIMESTAMP_CREATE_TIME, 5), SystemError("returned a result with an error"))
    message, headers_lost = read_message(event, "c")
    assert (message.value, message.headers, headers_lost) == (b"{}", (), True)
