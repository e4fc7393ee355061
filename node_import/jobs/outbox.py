"""The outbox: status events and dead letters that were written with a job's last state.

A publisher holds a job's lock from reading to stamping, in one transaction, so that no event is
sent twice at once and none before the one before it. All functions run inside the caller's
operator transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from node_import.contracts.dead_letter import DeadLetter, read_letter
from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.identity import MessageIdentity
from node_import.contracts.message import Message, decode_headers
from node_import.database import Connection
from node_import.sql import statements


@dataclass(frozen=True, slots=True)
class StatusEvent:
    """A row of `job_status_event`, with the trace of its job."""

    id: UUID
    job_id: UUID
    domain_id: UUID
    status: str
    created_at: datetime
    details: Mapping[str, Any]
    success_list: Sequence[str]
    failed_list: Sequence[str]
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class JobLetter:
    """A row of `job_dead_letter`, as the letter that it stands for."""

    id: UUID
    job_id: UUID
    letter: DeadLetter


@dataclass(frozen=True, slots=True)
class LockedJobs:
    """Jobs with something to publish: those this transaction now holds, and those others hold."""

    held: tuple[UUID, ...]
    busy: tuple[UUID, ...]


def lock_jobs(
    conn: Connection,
    *,
    job_ids: Collection[UUID] | None,
    excluded: Collection[UUID],
    max_jobs: int,
    in_turn: bool = True,
) -> LockedJobs:
    """Take the publisher's lock of up to `max_jobs` jobs; waits for nobody.

    `job_ids` limits the search to those jobs, None means all; `excluded` are left out. Those that
    wait longest, or any if not `in_turn`.
    """
    parameters = {
        "job_ids": None if job_ids is None else list(job_ids),
        "excluded": list(excluded),
        "max_jobs": max_jobs,
        "in_turn": in_turn,
    }
    rows = conn.execute(statements("outbox.sql")["lock_jobs"], parameters).fetchall()
    return LockedJobs(
        held=tuple(row["job_id"] for row in rows if row["locked"]),
        busy=tuple(row["job_id"] for row in rows if not row["locked"]),
    )


def unpublished_events(conn: Connection, job_ids: Collection[UUID]) -> list[StatusEvent]:
    """What these jobs have to say, in the order in which it happened."""
    statement = statements("outbox.sql")["unpublished_events"]
    rows = conn.execute(statement, {"job_ids": list(job_ids)})
    return [StatusEvent(**row) for row in rows]


def unpublished_letters(
    conn: Connection, job_ids: Collection[UUID], *, consumer_group: str
) -> list[JobLetter]:
    """The dead letters of these jobs, oldest first."""
    statement = statements("outbox.sql")["unpublished_letters"]
    rows = conn.execute(statement, {"job_ids": list(job_ids)})
    return [JobLetter(row["id"], row["job_id"], _letter(row, consumer_group)) for row in rows]


def stamp_events(conn: Connection, ids: Collection[UUID]) -> None:
    """These events are in their topic."""
    conn.execute(statements("outbox.sql")["stamp_events"], {"ids": list(ids)})


def stamp_letters(conn: Connection, ids: Collection[UUID]) -> None:
    """These dead letters are in their topic."""
    conn.execute(statements("outbox.sql")["stamp_letters"], {"ids": list(ids)})


def _letter(row: Mapping[str, Any], consumer_group: str) -> DeadLetter:
    identity = MessageIdentity(
        row["message_cluster"],
        row["message_topic"],
        row["message_partition"],
        row["message_offset"],
        row["message_timestamp"],
    )
    headers = decode_headers(row["message_headers"])
    # The message may have been refused and replayed before it became a job.
    earlier = read_letter(headers)
    return DeadLetter(
        message=Message(identity, row["message_key"], row["message_value"], headers),
        code=ErrorCode(row["error_code"]),
        reason=row["error_message"],
        consumer_group=consumer_group,
        attempts=(earlier.attempts or 0) + row["attempt"],
        first_failed_at=earlier.first_failed_at or row["first_failed_at"],
        job_id=row["job_id"],
    )
