"""Dead letters for tests, as they would stand in `acme-users-dlt`."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID

from node_import.contracts.dead_letter import DeadLetter
from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.identity import MessageIdentity
from node_import.contracts.message import Message
from node_import.contracts.node_type import NodeType
from node_import.contracts.topics import RequestTopic
from node_import.intake.positions import Partition
from node_import.replaying.letter import Letter, letter_of

FAILED_AT = datetime(2024, 12, 12, 9, 30, tzinfo=UTC)
CLUSTER = "cluster"
_offsets = count()


def partition(domain: str = "acme", number: int = 0) -> Partition:
    """One of a domain's dead-letter topic."""
    topic = f"{domain}-users-dlt"
    return Partition(RequestTopic(topic, domain, NodeType.USER), f"id of {topic}", number)


def letter_message(
    *,
    original: int = 0,
    code: ErrorCode = ErrorCode.UNKNOWN_GROUP,
    attempts: int = 1,
    job_id: UUID | None = None,
    value: bytes | None = b"value",
    domain: str = "acme",
    timestamp_ms: int = 5_000,
    **changes: Any,
) -> Message:
    """The letter of the message at offset `original` of the domain's request topic."""
    identity = MessageIdentity(CLUSTER, f"{domain}-users", 0, original, 1_000)
    sent = DeadLetter(
        message=Message(identity, b"key", value, (("x", b"y"),)),
        code=code,
        reason="why",
        consumer_group="node-import",
        attempts=attempts,
        first_failed_at=FAILED_AT,
        job_id=job_id,
    ).outgoing("-dlt")
    place = MessageIdentity(CLUSTER, sent.topic, 0, next(_offsets), timestamp_ms)
    return Message(place, sent.key, sent.value, changes.get("headers", sent.headers))


def letter(*, domain: str = "acme", **what: Any) -> Letter:
    """What is kept of it."""
    message = letter_message(domain=domain, **what)
    return letter_of(partition(domain), message, f"{domain}-users")
