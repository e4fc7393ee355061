"""What is kept of a dead letter, and which letters a filter means."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from node_import.contracts.dead_letter import ORIGINAL_TOPIC
from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.identity import MessageIdentity
from node_import.replaying.letter import NO_CODE, LetterFilter, NamedFile, letter_of
from node_import_tests.unit.replaying.letters import CLUSTER, letter, letter_message, partition


def test_letters_of_one_message_belong_together() -> None:
    """By where the message came for the first time, whatever became of it."""
    job = uuid4()
    assert letter(original=7).of_message == letter(original=7, job_id=job).of_message
    assert letter(original=7).of_message != letter(original=8).of_message


def test_a_letter_from_elsewhere_stands_for_itself() -> None:
    """Without our headers, or with those of another topic, there is no message to know it by."""
    bare = letter(headers=())
    strange = letter(headers=((ORIGINAL_TOPIC, b"orders"),))
    assert bare.code == NO_CODE
    assert len({bare.of_message, strange.of_message, letter(headers=()).of_message}) == 3


def test_a_letter_is_called_by_its_place() -> None:
    """In a form that a shell leaves alone."""
    one = letter()
    assert one.name == f"acme-users-dlt/0/{one.offset}"


def test_a_file_is_known_where_no_job_knows_it() -> None:
    """So that an old one is not imported over a newer."""
    domain = uuid4()
    request = {"domainId": str(domain), "groupId": "members", "filePath": "s3://a/b.csv"}
    value = json.dumps(request).encode()
    identity = MessageIdentity(CLUSTER, "acme-users", 0, 3, 1_000)
    assert letter(original=3, value=value).names_file == NamedFile(domain, "members", identity)
    assert letter(value=value, job_id=uuid4()).names_file is None
    assert letter(value=b"not JSON").names_file is None
    listed = {"domainId": str(domain), "groupId": "g", "referenceIds": ["a"]}
    assert letter(value=json.dumps(listed).encode()).names_file is None


def test_a_letter_without_its_value_is_a_letter() -> None:
    """It went without for its size."""
    assert letter(value=None).names_file is None


JOB = uuid4()
AT = datetime.fromtimestamp(5, UTC)


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        (LetterFilter(), True),
        (LetterFilter(codes=frozenset({ErrorCode.UNKNOWN_GROUP, ErrorCode.TIMEOUT})), True),
        (LetterFilter(codes=frozenset({ErrorCode.TIMEOUT})), False),
        (LetterFilter(since=AT), True),
        (LetterFilter(since=AT + timedelta(milliseconds=1)), False),
        (LetterFilter(until=AT), False),
        (LetterFilter(until=AT + timedelta(milliseconds=1)), True),
        (LetterFilter(jobs=frozenset({JOB})), True),
        (LetterFilter(jobs=frozenset({uuid4()})), False),
        (LetterFilter(names=frozenset({"acme-users-dlt/9/9"})), False),
        (LetterFilter(names=frozenset({"acme-users-dlt/9/9"}), jobs=frozenset({JOB})), True),
        (LetterFilter(jobs=frozenset({JOB}), codes=frozenset({ErrorCode.TIMEOUT})), False),
    ],
)
def test_filters_choose_letters(wanted: LetterFilter, matches: bool) -> None:
    """Every condition must hold; a name and a job are two ways to say which letter."""
    assert wanted.matches(letter(job_id=JOB, timestamp_ms=5_000)) is matches


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        (LetterFilter(), True),
        (LetterFilter(topics=frozenset({"acme-users"})), True),
        (LetterFilter(topics=frozenset({"acme-users-dlt", "other"})), True),
        (LetterFilter(topics=frozenset({"bolt-users"})), False),
        (LetterFilter(domains=frozenset({"acme"})), True),
        (LetterFilter(domains=frozenset({"bolt"})), False),
        (LetterFilter(names=frozenset({"acme-users-dlt/0/1"})), True),
        (LetterFilter(names=frozenset({"bolt-users-dlt/0/1"})), False),
        (LetterFilter(names=frozenset({"bolt-users-dlt/0/1"}), jobs=frozenset({JOB})), True),
    ],
)
def test_filters_choose_topics(wanted: LetterFilter, matches: bool) -> None:
    """A topic that can hold no such letter is not read."""
    assert wanted.matches_topic(partition(), "acme-users") is matches


def test_any_message_of_the_topic_is_a_letter() -> None:
    """Whatever its headers hold."""
    message = letter_message(headers=((ORIGINAL_TOPIC, b"\xff"), (ORIGINAL_TOPIC, None)))
    assert letter_of(partition(), message, "acme-users").info.original_topic is None
