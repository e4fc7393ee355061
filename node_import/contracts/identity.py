"""Which message a job came from, and the ids that follow from it.

Every id is a UUIDv5 (RFC 9562), so whoever meets the same message again, or closes the same
attempt again, arrives at the same id and a unique key decides.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from uuid import UUID, uuid5

# Any constant of our own; changing it would make every re-delivery a new job.
JOB_NAMESPACE = UUID("4b1b0cd1-90c1-5f4e-9f0a-2f7f4f6f3a11")


@dataclass(frozen=True, slots=True, order=True)
class MessageIdentity:
    """One message, wherever and whenever it is read again.

    The cluster id tells a rebuilt cluster from the old one, and the timestamp (milliseconds as
    the consumer reads it, -1 if the message has none) tells a topic that was deleted and made
    again, whose offsets start over.
    """

    cluster_id: str
    topic: str
    partition: int
    offset: int
    timestamp_ms: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


def job_id(identity: MessageIdentity) -> UUID:
    """The id of the job that this message asks for.

    The name is a JSON array: with plain separators two identities could have one spelling.
    """
    parts = [
        identity.cluster_id,
        identity.topic,
        identity.partition,
        identity.offset,
        identity.timestamp_ms,
    ]
    return uuid5(JOB_NAMESPACE, json.dumps(parts, separators=(",", ":")))


def event_id(job: UUID, attempt: int, status: str) -> UUID:
    """The id of the status event of one attempt's end; `ce_id` of every delivery of it."""
    return uuid5(job, f"status-event/{attempt}/{status}")


def dead_letter_id(job: UUID, attempt: int) -> UUID:
    """The id of the dead letter that one failed attempt of a job leaves."""
    return uuid5(job, f"dead-letter/{attempt}")
