"""Sends what the outbox holds: each job's events in order, each stamped when it is confirmed."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from uuid import UUID

from node_import.contracts.message import OutgoingMessage
from node_import.contracts.status_message import cloud_event_headers, encode_status_value
from node_import.database import Connection, Database
from node_import.database.connections import operator_transaction
from node_import.errors import TransientError
from node_import.jobs.outbox import (
    JobLetter,
    StatusEvent,
    lock_jobs,
    stamp_events,
    stamp_letters,
    unpublished_events,
    unpublished_letters,
)
from node_import.publishing.confirmed_producer import MessageSender
from node_import.publishing.dead_letters import DeadLetterSender, StoreValue, store_in_bucket
from node_import.settings import Settings

# A status message may have 900 KB: bounds memory, and how long a transaction stays open.
JOBS_AT_ONCE = 50
# No further jobs are begun after so long. Dagster gives the sensor that calls this 60 s, and one
# batch takes 16 s twice where Kafka gives no answer.
PUBLISH_SECONDS = 20.0


@dataclass(slots=True)
class PublishReport:
    """How much was sent."""

    events: int = 0
    letters: int = 0

    def as_metadata(self) -> dict[str, int]:
        """What a step shows of it."""
        return {"status_messages_sent": self.events, "dead_letters_sent": self.letters}


def publish_outbox(
    database: Database,
    sender: MessageSender,
    settings: Settings,
    *,
    job_ids: Collection[UUID] | None = None,
    store_value: StoreValue | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> PublishReport:
    """Send what is unpublished, of `job_ids` or of all jobs; every job at most once a call.

    A status event is sent at least once; one that fails keeps the later ones of its job waiting.
    What is not begun within `PUBLISH_SECONDS` of `clock` stays for the next call: the jobs that
    wait longest go first, and after a failure any, so that a topic that takes nothing does not
    keep the others waiting. `store_value` takes what is too large for a dead letter, by default
    into the settings' bucket.

    Raises:
        TransientError: the first failure, at the end; what failed stays.
    """
    deadline = clock() + PUBLISH_SECONDS
    letters = DeadLetterSender(
        sender, settings.dlt_suffix, store_value or store_in_bucket(settings)
    )
    publisher = _Publisher(sender, letters, settings)
    seen: set[UUID] = set()
    with database.session() as conn, database.limited(conn):
        while clock() < deadline:
            with operator_transaction(conn):
                jobs = lock_jobs(
                    conn,
                    job_ids=job_ids,
                    excluded=seen,
                    max_jobs=JOBS_AT_ONCE,
                    in_turn=not publisher.failures,
                )
                seen.update(jobs.held, jobs.busy)
                publisher.publish(conn, jobs.held)
            if not jobs.held and not jobs.busy:
                break
    if publisher.failures:
        raise publisher.failures[0]
    return publisher.report


def status_message(event: StatusEvent, status_topic: str) -> OutgoingMessage:
    """The message that an event is sent as."""
    return OutgoingMessage(
        topic=status_topic,
        key=str(event.job_id).encode("ascii"),
        value=encode_status_value(event.details, event.success_list, event.failed_list),
        headers=cloud_event_headers(
            event_id=event.id,
            domain_id=event.domain_id,
            status=event.status,
            time=event.created_at,
            traceparent=event.traceparent,
        ),
    )


class _Publisher:
    """Sends and stamps, inside the transaction that holds the jobs."""

    def __init__(
        self, sender: MessageSender, letters: DeadLetterSender, settings: Settings
    ) -> None:
        self._sender = sender
        self._letters = letters
        self._settings = settings
        self.report = PublishReport()
        self.failures: list[TransientError] = []

    def publish(self, conn: Connection, jobs: Collection[UUID]) -> None:
        if not jobs:
            return
        events = send_in_order(unpublished_events(conn, jobs), self._send_events)
        stamp_events(conn, [event.id for event in events.confirmed])
        group = self._settings.kafka_group_id
        waiting = unpublished_letters(conn, jobs, consumer_group=group)
        letters = send_in_order(waiting, self._send_letters)
        stamp_letters(conn, [letter.id for letter in letters.confirmed])
        self.report.events += len(events.confirmed)
        self.report.letters += len(letters.confirmed)
        self.failures += [*events.failures, *letters.failures]

    def _send_events(self, events: Sequence[StatusEvent]) -> list[TransientError | None]:
        messages = [status_message(event, self._settings.status_topic) for event in events]
        return [failure.error if failure else None for failure in self._sender.send(messages)]

    def _send_letters(self, letters: Sequence[JobLetter]) -> list[TransientError | None]:
        return self._letters.send([item.letter for item in letters])


Item = TypeVar("Item", StatusEvent, JobLetter)


@dataclass(slots=True)
class Sent(Generic[Item]):
    """What is confirmed, and why the rest is not."""

    confirmed: list[Item] = field(default_factory=list)
    failures: list[TransientError] = field(default_factory=list)


def send_in_order(
    items: Iterable[Item], send: Callable[[Sequence[Item]], list[TransientError | None]]
) -> Sent[Item]:
    """Send rounds of the next item of each job; a job whose item fails drops out."""
    queues: dict[UUID, deque[Item]] = {}
    for item in items:
        queues.setdefault(item.job_id, deque()).append(item)
    sent: Sent[Item] = Sent()
    while queues:
        batch = [queue.popleft() for queue in queues.values()]
        for item, failure in zip(batch, send(batch), strict=True):
            if failure is None:
                sent.confirmed.append(item)
            else:
                sent.failures.append(failure)
                queues[item.job_id].clear()
        queues = {job: queue for job, queue in queues.items() if queue}
    return sent
