"""What is done with a message, once it is known what it says and whose it is."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_import.contracts.dead_letter import LETTER_HEADERS, DeadLetter
from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.identity import MessageIdentity, job_id
from node_import.contracts.message import Headers, Message
from node_import.contracts.node_exchange import MAX_MESSAGE_BYTES
from node_import.contracts.node_type import NodeType
from node_import.contracts.rejection import Rejection
from node_import.contracts.topics import RequestTopic
from node_import.intake.decoding import (
    Reopening,
    Verdict,
    dead_letter,
    decode,
    judge,
    traceparent_of,
)
from node_import.intake.directory import Directory
from node_import.jobs.record import JobKind, NewJob

NOW = datetime(2024, 12, 12, 9, 30, tzinfo=UTC)
TOPIC = RequestTopic("acme-users", "acme", NodeType.USER)
ACME, GROUP = uuid4(), uuid4()
DIRECTORY = Directory({"acme": ACME}, frozenset({(ACME, GROUP)}), {(ACME, "g"): GROUP})
IDENTITY = MessageIdentity("cluster", "acme-users", 0, 7, 1_000)


def message(headers: Headers = (), **changes: Any) -> Message:
    fields = {"domainId": str(ACME), "groupId": "g", "filePath": "s3://b/k"}
    return Message(IDENTITY, b"k", json.dumps({**fields, **changes}).encode(), headers)


def verdict(
    sent: Message, *, directory: Directory = DIRECTORY, failed: set[tuple[UUID, UUID]] | None = None
) -> Verdict:
    return judge(decode(sent, TOPIC), directory, failed or set())


def test_an_accepted_request_is_a_job_of_the_topics_type() -> None:
    """The group by id, the request as it is."""
    sent = message()
    job = verdict(sent)
    assert isinstance(job, NewJob)
    assert (job.id, job.identity) == (job_id(IDENTITY), IDENTITY)
    assert (job.domain_id, job.group_id, job.kind) == (ACME, GROUP, JobKind.FILE)
    assert (job.node_type, job.reference_count) == (NodeType.USER, 0)
    assert (job.key, job.value, job.headers) == (b"k", sent.value, b"[]")


@pytest.mark.parametrize(
    ("sent", "directory", "code"),
    [
        (message(), Directory(), ErrorCode.UNKNOWN_DOMAIN),
        (message(domainId=str(uuid4())), DIRECTORY, ErrorCode.DOMAIN_TOPIC_MISMATCH),
        (message(groupId="h"), DIRECTORY, ErrorCode.UNKNOWN_GROUP),
        (message(groupId=str(uuid4())), DIRECTORY, ErrorCode.UNKNOWN_GROUP),
        (message(groupId=""), Directory(), ErrorCode.SCHEMA_VIOLATION),
    ],
)
def test_a_request_that_belongs_nowhere(
    sent: Message, directory: Directory, code: ErrorCode
) -> None:
    """The form is judged first, then the topic's domain, then the group."""
    answer = verdict(sent, directory=directory)
    assert isinstance(answer, Rejection)
    assert answer.code is code


def test_a_group_named_like_an_id_is_found_by_id_alone() -> None:
    """A UUID never means a name."""
    called = str(uuid4())
    directory = replace(DIRECTORY, group_names={(ACME, called): GROUP})
    assert isinstance(verdict(message(groupId=called), directory=directory), Rejection)


def test_size_is_that_of_key_value_and_headers() -> None:
    """1 MiB is the most, to the byte."""
    sent = message()
    room = MAX_MESSAGE_BYTES - sent.size
    assert isinstance(verdict(replace(sent, headers=(("h", b"x" * (room - 1)),))), NewJob)
    answer = verdict(replace(sent, headers=(("h", b"x" * room),)))
    assert isinstance(answer, Rejection)
    assert answer.code is ErrorCode.MESSAGE_TOO_LARGE


def letter_headers(topic: str = "acme-users", job: UUID | None = None) -> Headers:
    original = replace(message(), identity=replace(IDENTITY, topic=topic, offset=3))
    code = ErrorCode.UNKNOWN_GROUP
    return DeadLetter(original, code, "no", "node-import", 2, NOW, job).outgoing("-dlt").headers


def test_a_replayed_message_keeps_its_identity() -> None:
    """It is the message that it was, and its tries are counted on."""
    decoded = decode(message(letter_headers()), TOPIC)
    assert decoded.message.identity == replace(IDENTITY, offset=3)
    later = datetime(2025, 1, 1, tzinfo=UTC)
    refused = Rejection(ErrorCode.UNKNOWN_GROUP, "still not")
    letter = dead_letter(decoded, refused, consumer_group="node-import", now=later)
    assert (letter.attempts, letter.first_failed_at) == (3, NOW)


def test_a_letter_of_another_topic_gives_no_identity() -> None:
    """A message cannot pass for one of another tenant."""
    decoded = decode(message(letter_headers("bolt-users")), TOPIC)
    assert decoded.message.identity == IDENTITY
    refused = Rejection(ErrorCode.UNKNOWN_GROUP, "no")
    letter = dead_letter(decoded, refused, consumer_group="node-import", now=NOW)
    assert letter.attempts == 1


def test_a_failed_job_is_reopened_whatever_the_value_says() -> None:
    """A letter may have gone without its value."""
    job = uuid4()
    sent = replace(message(letter_headers(job=job)), value=None)
    assert verdict(sent, failed={(job, ACME)}) == Reopening(job, ACME)


def test_only_failed_jobs_of_the_topics_domain_are_reopened() -> None:
    """Any other wish is ignored, and the message counts as what it is."""
    job = uuid4()
    sent = message(letter_headers(job=job))
    for failed in (set(), {(job, uuid4())}, {(uuid4(), ACME)}):
        assert isinstance(verdict(sent, failed=failed), NewJob)
    assert isinstance(verdict(sent, directory=Directory(), failed={(job, ACME)}), Rejection)


def test_a_trace_is_taken_only_in_its_form() -> None:
    """Anything else could not be sent on."""
    trace = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert traceparent_of((("traceparent", b"old"), ("traceparent", trace))) == trace.decode()
    assert traceparent_of((("traceparent", b"\xff"),)) is None
    assert traceparent_of((("traceparent", None),)) is None
    assert traceparent_of(()) is None


names = st.sampled_from([*sorted(LETTER_HEADERS), "traceparent"]) | st.text(max_size=3)


@given(
    value=st.none() | st.binary(max_size=60),
    headers=st.lists(st.tuples(names, st.none() | st.binary(max_size=40)), max_size=6),
    timestamp=st.integers(-(2**63), 2**63 - 1),
)
def test_no_message_raises(
    value: bytes | None, headers: list[tuple[str, bytes | None]], timestamp: int
) -> None:
    """Whatever arrives is refused, and its letter can be made."""
    identity = replace(IDENTITY, timestamp_ms=timestamp)
    decoded = decode(Message(identity, None, value, tuple(headers)), TOPIC)
    answer = judge(decoded, DIRECTORY, set())
    assert isinstance(answer, Rejection)
    letter = dead_letter(decoded, answer, consumer_group="node-import", now=NOW)
    assert letter.outgoing("-dlt").value == value
