"""The outbox is sent: all of it, in order, stamped when it is confirmed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from node_import.contracts.dead_letter import read_letter
from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.identity import event_id
from node_import.contracts.message import OutgoingMessage
from node_import.errors import TransientError
from node_import.publishing.confirmed_producer import ConfirmedProducer, DeliveryFailure
from node_import.publishing.status_publisher import PublishReport, publish_outbox
from node_import_tests.support.kafka_messages import read_topic
from node_import_tests.support.tenants import rows

if TYPE_CHECKING:
    from conftest import Outbox

TIMED_OUT = (ErrorCode.TIMEOUT, "too slow")
AWAY = TransientError(ErrorCode.KAFKA_UNAVAILABLE, "away")
UNSTAMPED = "SELECT count(*) FROM {} WHERE published_at IS NULL"


def unpublished(outbox: Outbox) -> tuple[int, int]:
    """Status events and dead letters that are not stamped."""
    tables = ("job_status_event", "job_dead_letter")
    events, letters = (rows(outbox.database, UNSTAMPED.format(name))[0][0] for name in tables)
    return events, letters


class Flaky:
    """A sender that fails for messages of some jobs, and notes what it took."""

    def __init__(self, *failing: UUID) -> None:
        self._failing = {str(job).encode() for job in failing}
        self.taken: list[OutgoingMessage] = []

    def send(self, messages: Sequence[OutgoingMessage]) -> list[DeliveryFailure | None]:
        answers = [DeliveryFailure(AWAY) if m.key in self._failing else None for m in messages]
        self.taken += [m for m, bad in zip(messages, answers, strict=True) if bad is None]
        return answers


def test_a_status_message_is_sent_and_stamped(outbox: Outbox, producer: ConfirmedProducer) -> None:
    """Value, key and headers as the contract says, once."""
    job = outbox.job()
    outbox.close(job)

    report = publish_outbox(outbox.importer, producer, outbox.settings)

    assert report == PublishReport(events=1)
    [message] = read_topic(outbox.settings, outbox.settings.status_topic)
    assert message.key == str(job).encode()
    value = json.loads(message.value or b"")
    assert list(value)[:8] == [
        "jobId",
        "groupId",
        "domainId",
        "status",
        "processed",
        "total",
        "successList",
        "failedList",
    ]
    assert (value["jobId"], value["groupId"]) == (str(job), "g")
    assert (value["successList"], value["failedList"]) == (["ok-é"], ["bad"])
    assert message.header("ce_id") == str(event_id(job, 1, value["status"])).encode()
    assert message.header("traceparent") is not None
    assert unpublished(outbox) == (0, 0)
    assert publish_outbox(outbox.importer, producer, outbox.settings) == PublishReport()


def test_a_dead_letter_has_the_message_and_the_reason(
    outbox: Outbox, producer: ConfirmedProducer
) -> None:
    """Key, value and headers of the request come back from the job's row."""
    job = outbox.job()
    outbox.close(job, TIMED_OUT)

    report = publish_outbox(outbox.importer, producer, outbox.settings)

    assert (report.events, report.letters) == (1, 1)
    [letter] = read_topic(outbox.settings, outbox.dlt)
    assert (letter.key, letter.value) == (b"key", b"value")
    assert letter.headers[1] == ("x", None)
    info = read_letter(letter.headers)
    assert (info.job_id, info.error_code, info.attempts) == (job, "TIMEOUT", 1)
    assert (info.original_partition, info.original_offset) == (0, 0)
    assert unpublished(outbox) == (0, 0)


def test_an_idempotent_producer_sends_them_as_well(outbox: Outbox) -> None:
    """The one that the last step of a run has."""
    outbox.close(outbox.job())
    with ConfirmedProducer.from_settings(outbox.settings) as producer:
        assert publish_outbox(outbox.importer, producer, outbox.settings).events == 1


def test_the_events_of_a_job_come_in_order(outbox: Outbox, producer: ConfirmedProducer) -> None:
    """First attempts first, whatever other jobs do."""
    jobs = [outbox.job() for _ in range(3)]
    for attempt in (1, 2, 3):
        for job in jobs:
            outbox.close(job, TIMED_OUT if attempt < 3 else None)

    assert publish_outbox(outbox.importer, producer, outbox.settings).events == 9

    values = [
        json.loads(m.value or b"")
        for m in read_topic(outbox.settings, outbox.settings.status_topic)
    ]
    for job in jobs:
        attempts = [value["attempt"] for value in values if value["jobId"] == str(job)]
        assert attempts == [1, 2, 3]


def test_an_event_waits_for_the_one_before_it(outbox: Outbox) -> None:
    """Where the first is not confirmed the second is not even tried; other jobs go on."""
    stuck, fine = outbox.job(), outbox.job()
    for job in (stuck, fine, stuck):
        outbox.close(job, TIMED_OUT)
    sender = Flaky(stuck)

    with pytest.raises(TransientError, match="away"):
        publish_outbox(outbox.importer, sender, outbox.settings)

    keys = {m.key for m in sender.taken if m.topic == outbox.settings.status_topic}
    assert keys == {str(fine).encode()}
    assert unpublished(outbox)[0] == 2
    later = Flaky()
    publish_outbox(outbox.importer, later, outbox.settings)
    attempts = [json.loads(m.value or b"")["attempt"] for m in later.taken]
    assert attempts == [1, 2]
    assert unpublished(outbox) == (0, 0)


def test_two_publishers_send_nothing_twice(outbox: Outbox) -> None:
    """What one has in hand the other leaves alone, later events of the same job too."""
    job, other = outbox.job(), outbox.job()
    for each in (job, other):
        outbox.close(each)
    second = Flaky()
    reports: list[PublishReport] = []

    class WhileSending(Flaky):
        def send(self, messages: Sequence[OutgoingMessage]) -> list[DeliveryFailure | None]:
            if not reports:
                outbox.close(outbox.job())
                reports.append(publish_outbox(outbox.importer, second, outbox.settings))
            return super().send(messages)

    first = WhileSending()
    publish_outbox(outbox.importer, first, outbox.settings)

    assert reports == [PublishReport(events=1)]
    sent = [m.key for m in (*first.taken, *second.taken)]
    assert len(sent) == len(set(sent)) == 3


def test_only_the_jobs_that_are_asked_for(outbox: Outbox) -> None:
    """A run sends what its own jobs have to say."""
    mine, other = outbox.job(), outbox.job()
    for job in (mine, other):
        outbox.close(job)
    sender = Flaky()
    publish_outbox(outbox.importer, sender, outbox.settings, job_ids=[mine])
    assert [m.key for m in sender.taken] == [str(mine).encode()]
    assert publish_outbox(outbox.importer, sender, outbox.settings, job_ids=[]) == PublishReport()
    assert unpublished(outbox) == (1, 0)


def test_more_jobs_than_are_sent_at_once(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """One call sends all that waits."""
    monkeypatch.setattr("node_import.publishing.status_publisher.JOBS_AT_ONCE", 2)
    for _ in range(5):
        outbox.close(outbox.job())
    assert publish_outbox(outbox.importer, Flaky(), outbox.settings).events == 5


def test_an_outage_does_not_take_longer_than_a_tick_has(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not begun in time stays, and the next call sends it."""
    monkeypatch.setattr("node_import.publishing.status_publisher.JOBS_AT_ONCE", 1)
    jobs = [outbox.job() for _ in range(5)]
    for job in jobs:
        outbox.close(job)
    now = 0.0

    class Slow(Flaky):
        def send(self, messages: Sequence[OutgoingMessage]) -> list[DeliveryFailure | None]:
            nonlocal now
            now += 16.0 if messages else 0.0
            return super().send(messages)

    with pytest.raises(TransientError, match="away"):
        publish_outbox(outbox.importer, Slow(*jobs), outbox.settings, clock=lambda: now)

    assert now == 32.0
    assert unpublished(outbox) == (5, 0)
    assert publish_outbox(outbox.importer, Flaky(), outbox.settings).events == 5


def test_a_job_that_cannot_be_sent_does_not_keep_the_others_for_ever(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failure it is not always the oldest that is tried next."""
    monkeypatch.setattr("node_import.publishing.status_publisher.JOBS_AT_ONCE", 1)
    stuck, *others = [outbox.job() for _ in range(4)]
    for job in (stuck, *others):
        outbox.close(job)
    with pytest.raises(TransientError, match="away"):
        publish_outbox(outbox.importer, Flaky(stuck), outbox.settings)
    assert unpublished(outbox) == (1, 0)


def test_a_publisher_that_dies_sends_again(outbox: Outbox) -> None:
    """Delivered and not yet stamped: the same event comes twice, under one id."""

    class Dying(Flaky):
        def send(self, messages: Sequence[OutgoingMessage]) -> list[DeliveryFailure | None]:
            super().send(messages)
            raise KeyboardInterrupt

    outbox.close(outbox.job())
    first, second = Dying(), Flaky()
    with pytest.raises(KeyboardInterrupt):
        publish_outbox(outbox.importer, first, outbox.settings)
    publish_outbox(outbox.importer, second, outbox.settings)
    ids = {dict(m.headers)["ce_id"] for m in (*first.taken, *second.taken)}
    assert len(ids) == 1
