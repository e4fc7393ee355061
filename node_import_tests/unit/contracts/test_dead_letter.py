"""Dead letters as Spring's tools and ours read them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_import.contracts.dead_letter import (
    LETTER_HEADERS,
    DeadLetter,
    bare,
    read_letter,
    without_value,
)
from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.identity import MessageIdentity
from node_import.contracts.message import Message, decode_headers, encode_headers

NOW = datetime(2024, 12, 12, 9, 30, tzinfo=UTC)
JOB = UUID("8dd7ca61-ff3c-5f9e-91a6-b4f2ef6e0b3e")
IDENTITY = MessageIdentity("cluster", "acme-users", 3, 258, 1_733_990_400_000)
MESSAGE = Message(IDENTITY, b"key", b"value", (("a", b"1"), ("a", None), ("traceparent", b"t")))
LETTER = DeadLetter(MESSAGE, ErrorCode.CORRUPT_GZIP, "it ends", "node-import", 2, NOW, JOB)


def test_a_letter_of_a_job() -> None:
    """Key, value and headers as they came, then Spring's names in Spring's forms, then ours."""
    outgoing = LETTER.outgoing("-dlt")
    assert (outgoing.topic, outgoing.key, outgoing.value) == ("acme-users-dlt", b"key", b"value")
    assert outgoing.headers[:3] == MESSAGE.headers
    assert dict(outgoing.headers[3:]) == {
        "kafka_dlt-original-topic": b"acme-users",
        "kafka_dlt-original-partition": b"\x00\x00\x00\x03",
        "kafka_dlt-original-offset": b"\x00\x00\x00\x00\x00\x00\x01\x02",
        "kafka_dlt-original-timestamp": b"\x00\x00\x01\x93\xb9\xe1\xc0\x00",
        "kafka_dlt-original-consumer-group": b"node-import",
        "kafka_dlt-exception-fqcn": b"node_import.errors.PermanentError",
        "kafka_dlt-exception-message": b"CORRUPT_GZIP: it ends",
        "node-import-error-code": b"CORRUPT_GZIP",
        "node-import-job-id": str(JOB).encode(),
        "node-import-attempts": b"2",
        "node-import-first-failed-at": b"2024-12-12T09:30:00+00:00",
    }


def test_a_letter_names_the_error_as_it_was_raised() -> None:
    """Refused at the door, given up after retries, or never to be healed."""
    refused = replace(LETTER, job_id=None, code=ErrorCode.INVALID_JSON).outgoing("-dlt")
    assert (
        dict(refused.headers)["kafka_dlt-exception-fqcn"] == b"node_import.errors.MessageRejected"
    )
    away = replace(LETTER, code=ErrorCode.OBJECT_STORE_UNAVAILABLE).outgoing("-dlt")
    assert dict(away.headers)["kafka_dlt-exception-fqcn"] == b"node_import.errors.TransientError"


def test_what_a_letter_says_can_be_read_again() -> None:
    """All of it, and the identity under the cluster that it is read from."""
    info = read_letter(LETTER.outgoing("-dlt").headers)
    assert info.original_identity("cluster") == IDENTITY
    assert (info.error_code, info.error_message) == ("CORRUPT_GZIP", "CORRUPT_GZIP: it ends")
    assert (info.job_id, info.attempts, info.first_failed_at) == (JOB, 2, NOW)
    assert (info.consumer_group, info.value_url) == ("node-import", None)


def test_a_message_that_fails_again_speaks_of_itself_once() -> None:
    """The headers of the earlier letter give way to those of the new one."""
    earlier = LETTER.outgoing("-dlt")
    message = replace(MESSAGE, headers=earlier.headers)
    again = replace(LETTER, message=message, attempts=3).outgoing("-dlt")
    names = [name for name, _ in again.headers]
    assert len(names) == len(earlier.headers)
    assert read_letter(again.headers).attempts == 3


def test_what_is_too_large_leaves_a_reference() -> None:
    """First the value goes, then the rest that is not the letter's own."""
    smaller = without_value(LETTER.outgoing("-dlt"), "s3://bucket/dead-letters/x")
    assert (smaller.key, smaller.value) == (b"key", None)
    assert read_letter(smaller.headers).value_url == "s3://bucket/dead-letters/x"
    smallest = bare(smaller)
    assert smallest.key is None
    assert {name for name, _ in smallest.headers} == LETTER_HEADERS


def test_a_reason_of_any_length_and_text_fits() -> None:
    """Reasons quote what producers sent: they are cut, and lone surrogates become marks."""
    letter = replace(LETTER, reason="\ud800" * 5_000).outgoing("-dlt")
    assert dict(letter.headers)["kafka_dlt-exception-message"] == b"CORRUPT_GZIP: " + b"?" * 1_000


def test_a_letter_of_another_application() -> None:
    """Spring's headers alone are enough to know where the message stood."""
    info = read_letter(
        [
            ("kafka_dlt-original-topic", b"acme-users"),
            ("kafka_dlt-original-partition", b"\0\0\0\1"),
            ("kafka_dlt-original-offset", b"\0" * 7 + b"\5"),
            ("kafka_dlt-original-timestamp", b"\xff" * 8),
            ("kafka_dlt-exception-fqcn", b"java.lang.IllegalStateException"),
        ]
    )
    assert info.original_identity("c") == MessageIdentity("c", "acme-users", 1, 5, -1)
    assert (info.error_code, info.job_id, info.attempts) == (None, None, None)


@given(
    st.lists(st.tuples(st.sampled_from(sorted(LETTER_HEADERS)), st.none() | st.binary(max_size=40)))
)
def test_no_headers_raise(headers: list[tuple[str, bytes | None]]) -> None:
    """What cannot be read is None."""
    info = read_letter(headers)
    assert info.attempts is None or info.attempts >= 0


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2024-12-12", "soon"]
)
def test_a_letter_can_be_made_of_any_time_that_a_producer_wrote(text: str) -> None:
    """A moment that no UTC calendar has is none, and neither stops the message's new letter."""
    first = read_letter([("node-import-first-failed-at", text.encode())]).first_failed_at
    letter = replace(LETTER, first_failed_at=first or NOW)
    assert dict(letter.outgoing("-dlt").headers)["node-import-first-failed-at"].startswith(b"2024-")


def test_times_of_other_zones_are_read_as_moments() -> None:
    """And times without a zone as UTC."""
    for text in ("2024-12-12T10:30:00+01:00", "2024-12-12T09:30:00"):
        assert read_letter([("node-import-first-failed-at", text.encode())]).first_failed_at == NOW


header_lists = st.lists(
    st.tuples(st.text(st.characters(exclude_categories=["Cs"])), st.none() | st.binary())
)


@given(header_lists)
def test_headers_can_be_stored_as_bytes(headers: list[tuple[str, bytes | None]]) -> None:
    """Order, repeats, empty and missing values come back as they were."""
    assert decode_headers(encode_headers(tuple(headers))) == tuple(headers)
    assert decode_headers(None) == ()
