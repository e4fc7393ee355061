"""Dead letters that are too large, or not taken."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from node_import.contracts.dead_letter import DeadLetter, read_letter
from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.identity import MessageIdentity
from node_import.contracts.message import Message, OutgoingMessage
from node_import.errors import TransientError
from node_import.publishing.confirmed_producer import DeliveryFailure
from node_import.publishing.dead_letters import DeadLetterSender

AWAY = TransientError(ErrorCode.KAFKA_UNAVAILABLE, "away")
TOO_LARGE = TransientError(ErrorCode.KAFKA_UNAVAILABLE, "Message size too large")


class Broker:
    """Refuses a batch that is larger than its limit, whole, as Kafka does."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.taken: list[OutgoingMessage] = []

    def send(self, messages: Sequence[OutgoingMessage]) -> list[DeliveryFailure | None]:
        if sum(map(size, messages)) > self._limit:
            return [DeliveryFailure(TOO_LARGE, too_large=True)] * len(messages)
        self.taken += messages
        return [None] * len(messages)


def size(message: OutgoingMessage) -> int:
    body = len(message.key or b"") + len(message.value or b"")
    return body + sum(len(name) + len(value or b"") for name, value in message.headers)


def letter(value: bytes | None, key: bytes = b"k") -> DeadLetter:
    message = Message(MessageIdentity("c", "acme-users", 0, 0, 0), key, value)
    now = datetime(2024, 12, 12, tzinfo=UTC)
    return DeadLetter(message, ErrorCode.INVALID_JSON, "bad", "node-import", 1, now)


def refuse_to_store(_: bytes) -> str:
    raise TransientError(ErrorCode.OBJECT_STORE_UNAVAILABLE, "no bucket")


def test_a_large_letter_goes_without_its_value_and_others_keep_theirs() -> None:
    """The value is in the object store, and the letter names it."""
    stored: dict[str, bytes] = {}

    def store(value: bytes) -> str:
        stored["s3://bucket/it"] = value
        return "s3://bucket/it"

    broker = Broker(2_000)
    sender = DeadLetterSender(broker, "-dlt", store)
    assert sender.send([letter(b"small"), letter(b"x" * 3_000)]) == [None, None]
    assert [taken.value for taken in broker.taken] == [b"small", None]
    assert read_letter(broker.taken[1].headers).value_url == "s3://bucket/it"
    assert read_letter(broker.taken[0].headers).value_url is None
    assert stored == {"s3://bucket/it": b"x" * 3_000}


def test_a_key_that_is_too_large_stays_behind_as_well() -> None:
    """A letter always gets through."""
    broker = Broker(2_000)
    sender = DeadLetterSender(broker, "-dlt", lambda _: "s3://bucket/it")
    assert sender.send([letter(b"value", key=b"k" * 3_000)]) == [None]
    assert (broker.taken[0].key, broker.taken[0].value) == (None, None)


def test_a_value_that_cannot_be_stored_keeps_the_letter_back() -> None:
    """The letter is not in its topic, and the caller learns why."""
    sender = DeadLetterSender(Broker(10), "-dlt", refuse_to_store)
    [failure] = sender.send([letter(b"value")])
    assert failure is not None
    assert failure.code is ErrorCode.OBJECT_STORE_UNAVAILABLE


def test_an_outage_is_no_matter_of_size() -> None:
    """Nothing is stored and nothing cut while Kafka is away."""

    class Away:
        def send(self, messages: Sequence[OutgoingMessage]) -> list[DeliveryFailure | None]:
            return [DeliveryFailure(AWAY)] * len(messages)

    assert DeadLetterSender(Away(), "-dlt", refuse_to_store).send([letter(b"v")]) == [AWAY]
