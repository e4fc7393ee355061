"""Dead letters: a message that failed for good, with its reason in headers.

Key, value and headers are those of the message. The names `kafka_dlt-…` and their binary forms
are Spring Kafka's (`DeadLetterPublishingRecoverer`, `KafkaHeaders.DLT_*`), so that tools made
for it read our letters; integers are big-endian and signed, as Java's are. The names
`node-import-…` are ours and hold UTF-8.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from node_import.contracts.error_codes import TRANSIENT_CODES, ErrorCode
from node_import.contracts.identity import MessageIdentity
from node_import.contracts.message import Headers, Message, OutgoingMessage
from node_import.contracts.node_exchange import parse_uuid
from node_import.contracts.topics import dead_letter_topic

ORIGINAL_TOPIC = "kafka_dlt-original-topic"
ORIGINAL_PARTITION = "kafka_dlt-original-partition"
ORIGINAL_OFFSET = "kafka_dlt-original-offset"
ORIGINAL_TIMESTAMP = "kafka_dlt-original-timestamp"
ORIGINAL_GROUP = "kafka_dlt-original-consumer-group"
EXCEPTION_CLASS = "kafka_dlt-exception-fqcn"
EXCEPTION_MESSAGE = "kafka_dlt-exception-message"
ERROR_CODE = "node-import-error-code"
JOB_ID = "node-import-job-id"
ATTEMPTS = "node-import-attempts"
FIRST_FAILED_AT = "node-import-first-failed-at"
VALUE_URL = "node-import-value-url"

# What a letter says of itself. A message that comes back and fails again loses these first.
LETTER_HEADERS = frozenset(
    {
        ORIGINAL_TOPIC,
        ORIGINAL_PARTITION,
        ORIGINAL_OFFSET,
        ORIGINAL_TIMESTAMP,
        ORIGINAL_GROUP,
        EXCEPTION_CLASS,
        EXCEPTION_MESSAGE,
        ERROR_CODE,
        JOB_ID,
        ATTEMPTS,
        FIRST_FAILED_AT,
        VALUE_URL,
    }
)

_REASON_HEADERS = frozenset({ORIGINAL_GROUP, EXCEPTION_CLASS, EXCEPTION_MESSAGE, ERROR_CODE})

MAX_REASON_CHARACTERS = 1_000

_INT_BYTES = 4
_LONG_BYTES = 8


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message and why it failed. `attempts` counts the tries of the whole message, replays too.

    `message.identity` is where it stood when it came for the first time.
    """

    message: Message
    code: ErrorCode
    reason: str
    consumer_group: str
    attempts: int
    first_failed_at: datetime
    job_id: UUID | None = None

    def outgoing(self, dlt_suffix: str) -> OutgoingMessage:
        """The letter as it is produced."""
        message = self.message
        kept = tuple(header for header in message.headers if header[0] not in LETTER_HEADERS)
        return OutgoingMessage(
            topic=dead_letter_topic(message.identity.topic, dlt_suffix),
            key=message.key,
            value=message.value,
            headers=kept + self._letter_headers(),
        )

    def _letter_headers(self) -> Headers:
        identity = self.message.identity
        headers: dict[str, bytes] = {
            ORIGINAL_TOPIC: _text(identity.topic),
            ORIGINAL_PARTITION: identity.partition.to_bytes(_INT_BYTES, "big", signed=True),
            ORIGINAL_OFFSET: identity.offset.to_bytes(_LONG_BYTES, "big", signed=True),
            ORIGINAL_TIMESTAMP: identity.timestamp_ms.to_bytes(_LONG_BYTES, "big", signed=True),
            ORIGINAL_GROUP: _text(self.consumer_group),
            EXCEPTION_CLASS: _text(self._exception_class()),
            EXCEPTION_MESSAGE: _text(f"{self.code}: {self.reason[:MAX_REASON_CHARACTERS]}"),
            ERROR_CODE: _text(self.code),
            ATTEMPTS: _text(str(self.attempts)),
            FIRST_FAILED_AT: _text(self.first_failed_at.astimezone(UTC).isoformat()),
        }
        if self.job_id is not None:
            headers[JOB_ID] = _text(str(self.job_id))
        return tuple(headers.items())

    def _exception_class(self) -> str:
        """The class of our error tree that such a failure is raised as."""
        if self.job_id is None:
            return "node_import.errors.MessageRejected"
        kind = "TransientError" if self.code in TRANSIENT_CODES else "PermanentError"
        return f"node_import.errors.{kind}"


def without_value(letter: OutgoingMessage, value_url: str) -> OutgoingMessage:
    """What goes out of a letter that the broker refuses for its size: where the value is."""
    return replace(letter, value=None, headers=(*letter.headers, (VALUE_URL, _text(value_url))))


def bare(letter: OutgoingMessage) -> OutgoingMessage:
    """What is left for the broker if key or headers alone are too large: what the letter says."""
    own = tuple(header for header in letter.headers if header[0] in LETTER_HEADERS)
    return replace(letter, key=None, value=None, headers=own)


def replayed(letter: Message, request_topic: str, value: bytes | None) -> OutgoingMessage:
    """The message of a letter on its way back: key and headers as they are, the letter's too.

    They keep its identity and its job. `value` is the letter's, or what it named instead.
    """
    headers = tuple(header for header in letter.headers if header[0] != VALUE_URL)
    return OutgoingMessage(request_topic, letter.key, value, headers)


def without_reason(message: OutgoingMessage) -> OutgoingMessage:
    """A replayed message that is refused for its size: without what only people read."""
    kept = tuple(header for header in message.headers if header[0] not in _REASON_HEADERS)
    return replace(message, headers=kept)


@dataclass(frozen=True, slots=True)
class LetterInfo:
    """What the headers of a dead letter say; None where one is missing or cannot be read.

    Letters of other applications, with Spring's headers alone, are read as well.
    """

    original_topic: str | None
    original_partition: int | None
    original_offset: int | None
    original_timestamp_ms: int | None
    consumer_group: str | None
    error_code: str | None
    error_message: str | None
    job_id: UUID | None
    attempts: int | None
    first_failed_at: datetime | None
    value_url: str | None

    def original_identity(self, cluster_id: str) -> MessageIdentity | None:
        """Where the message stood when it came for the first time, if the headers say all of it."""
        if (
            self.original_topic is None
            or self.original_partition is None
            or self.original_offset is None
            or self.original_timestamp_ms is None
        ):
            return None
        return MessageIdentity(
            cluster_id,
            self.original_topic,
            self.original_partition,
            self.original_offset,
            self.original_timestamp_ms,
        )


def read_letter(headers: Iterable[tuple[str, bytes | None]]) -> LetterInfo:
    """What the headers of a letter, or of a message replayed from one, say. Never raises.

    Of several headers with one name the last one counts.
    """
    found: dict[str, Any] = {name: value for name, value in headers if name in LETTER_HEADERS}
    return LetterInfo(
        original_topic=_read_text(found.get(ORIGINAL_TOPIC)),
        original_partition=_read_integer(found.get(ORIGINAL_PARTITION), _INT_BYTES),
        original_offset=_read_integer(found.get(ORIGINAL_OFFSET), _LONG_BYTES),
        original_timestamp_ms=_read_integer(found.get(ORIGINAL_TIMESTAMP), _LONG_BYTES),
        consumer_group=_read_text(found.get(ORIGINAL_GROUP)),
        error_code=_read_text(found.get(ERROR_CODE)),
        error_message=_read_text(found.get(EXCEPTION_MESSAGE)),
        job_id=_read_uuid(found.get(JOB_ID)),
        attempts=_read_count(found.get(ATTEMPTS)),
        first_failed_at=_read_time(found.get(FIRST_FAILED_AT)),
        value_url=_read_text(found.get(VALUE_URL)),
    )


def _text(text: str) -> bytes:
    # A reason may quote what a producer sent, lone surrogates and all.
    return text.encode("utf-8", errors="replace")


def _read_text(value: bytes | None) -> str | None:
    try:
        return value.decode("utf-8") if value is not None else None
    except UnicodeDecodeError:
        return None


def _read_integer(value: bytes | None, length: int) -> int | None:
    if value is None or len(value) != length:
        return None
    return int.from_bytes(value, "big", signed=True)


def _read_uuid(value: bytes | None) -> UUID | None:
    text = _read_text(value)
    return parse_uuid(text) if text else None


def _read_count(value: bytes | None) -> int | None:
    text = _read_text(value) or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


def _read_time(value: bytes | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(_read_text(value) or "")
        if moment.tzinfo is None:
            return moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):  # 0001-01-01T00:00:00+14:00 is no moment of any calendar
        return None
