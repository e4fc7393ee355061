"""Sends what the outbox holds: each job's events in order, each stamped when it is confirmed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from uuid import UUID

from node_import.contracts.message import OutgoingMessage
from node_import.contracts.status_message import cloud_event_headers, encode_status_value
from node_import.database import Connection, Database
from node_import.database.connections import operator_transaction
from node_import.database.failures import translated_failures
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
from node_import.publishing.dead_letters import DeadLetterSender, StoreValue
from node_import.settings import Settings

# A status message may have 900 KB: bounds memory, and how long a transaction stays open.
JOBS_AT_ONCE = 50


@dataclass(slots=True)
class PublishReport:
    """What was sent. `failures` stay in the outbox, `busy` jobs are with another publisher."""

    events: int = 0
    letters: int = 0
    busy: int = 0
    failures: list[TransientError] = field(default_factory=list)

    def raise_for_failure(self) -> None:
        """Raises:
        TransientError: KAFKA_UNAVAILABLE (or OBJECT_STORE_UNAVAILABLE), if anything failed.
        """
        if self.failures:
            raise self.failures[0]


def publish_outbox(
    database: Database,
    sender: MessageSender,
    settings: Settings,
    *,
    store_value: StoreValue,
    job_ids: Collection[UUID] | None = None,
) -> PublishReport:
    """Send what is unpublished, of `job_ids` or of all jobs; every job once a call.

    A status event is sent at least once; one that fails keeps the later ones of its job waiting.

    Raises:
        TransientError: DATABASE_UNAVAILABLE. What Kafka did not take is in the report.
    """
    report = PublishReport()
    letters = DeadLetterSender(sender, settings.dlt_suffix, store_value)
    seen: set[UUID] = set()
    with database.connect() as conn, translated_failures():
        while True:
            with operator_transaction(conn):
                jobs = lock_jobs(conn, job_ids=job_ids, excluded=seen, max_jobs=JOBS_AT_ONCE)
                if not jobs.held and not jobs.busy:
                    return report
                seen.update(jobs.held, jobs.busy)
                report.busy += len(jobs.busy)
                if jobs.held:
                    _publish_events(conn, jobs.held, sender, settings, report)
                    _publish_letters(conn, jobs.held, letters, settings, report)


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


def _publish_events(
    conn: Connection,
    jobs: Collection[UUID],
    sender: MessageSender,
    settings: Settings,
    report: PublishReport,
) -> None:
    def send(events: Sequence[StatusEvent]) -> list[TransientError | None]:
        messages = [status_message(event, settings.status_topic) for event in events]
        return [failure.error if failure else None for failure in sender.send(messages)]

    sent = send_in_order(unpublished_events(conn, jobs), send)
    stamp_events(conn, [event.id for event in sent.confirmed])
    report.events += len(sent.confirmed)
    report.failures += sent.failures


def _publish_letters(
    conn: Connection,
    jobs: Collection[UUID],
    letters: DeadLetterSender,
    settings: Settings,
    report: PublishReport,
) -> None:
    def send(batch: Sequence[JobLetter]) -> list[TransientError | None]:
        return letters.send([item.letter for item in batch])

    waiting = unpublished_letters(conn, jobs, consumer_group=settings.kafka_group_id)
    sent = send_in_order(waiting, send)
    stamp_letters(conn, [item.id for item in sent.confirmed])
    report.letters += len(sent.confirmed)
    report.failures += sent.failures


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
