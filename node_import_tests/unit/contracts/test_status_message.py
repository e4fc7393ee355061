"""The status message: its fields, its lists within a size, its headers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft7Validator, FormatChecker

from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.schemas import load_schema
from node_import.contracts.status_message import (
    ReferenceLists,
    StatusMessage,
    cloud_event_headers,
    encode_status_value,
    fit_lists,
)

MESSAGE = StatusMessage(
    job_id=UUID("8dd7ca61-ff3c-5f9e-91a6-b4f2ef6e0b3e"),
    group_id="customers",
    domain_id=UUID("5f0c954e-9a4b-4a53-8f0a-7c8c1c9ab001"),
    status="FAILED",
    processed=2,
    total=3,
    attempt=1,
    lists=ReferenceLists(("ref1", "ref2"), ("ref99",)),
    result_url="s3://bucket/results/1.json.gz",
    rejects_url="s3://bucket/rejects/1.csv",
    failure_code=ErrorCode.ROWS_REJECTED,
    failure_reason="1 of 3 rows was rejected",
    started_at=datetime(2024, 12, 12, 9, 30, tzinfo=UTC),
    finished_at=datetime(2024, 12, 12, 10, 30, 1, 999_999, tzinfo=timezone(timedelta(hours=1))),
)

moments = FormatChecker()


@moments.checks("date-time", raises=ValueError)
def _is_moment(value: object) -> bool:
    return datetime.fromisoformat(str(value)).tzinfo is not None


def assert_valid(value: bytes) -> dict[str, Any]:
    fields: dict[str, Any] = json.loads(value)
    schema = load_schema("nodes_transfer_job_exchange")
    Draft7Validator(schema, format_checker=moments).validate(fields)
    return fields


def test_the_value_of_a_failed_job() -> None:
    """The contract's fields come first and in its order, the additional ones after them."""
    fields = assert_valid(MESSAGE.value())
    assert list(fields.items()) == [
        ("jobId", "8dd7ca61-ff3c-5f9e-91a6-b4f2ef6e0b3e"),
        ("groupId", "customers"),
        ("domainId", "5f0c954e-9a4b-4a53-8f0a-7c8c1c9ab001"),
        ("status", "FAILED"),
        ("processed", 2),
        ("total", 3),
        ("successList", ["ref1", "ref2"]),
        ("failedList", ["ref99"]),
        ("successListTruncated", False),
        ("failedListTruncated", False),
        ("rejectsUrl", "s3://bucket/rejects/1.csv"),
        ("failureCode", "ROWS_REJECTED"),
        ("failureReason", "1 of 3 rows was rejected"),
        ("attempt", 1),
        ("startedAt", "2024-12-12T09:30:00.000Z"),
        ("finishedAt", "2024-12-12T09:30:01.999Z"),
    ]


def test_the_value_of_a_completed_job() -> None:
    """What has no value is left out."""
    message = replace(
        MESSAGE, status="COMPLETED", failure_code=None, failure_reason=None, rejects_url=None
    )
    fields = assert_valid(message.value())
    assert not {"failureCode", "failureReason", "rejectsUrl", "resultUrl"} & fields.keys()


def test_the_value_survives_the_outbox() -> None:
    """jsonb forgets the order of fields; the message is the same all the same."""
    shuffled = dict(sorted(MESSAGE.details().items()))
    assert encode_status_value(shuffled, ["ref1", "ref2"], ["ref99"]) == MESSAGE.value()


def size_of(lists: ReferenceLists) -> int:
    """Bytes of both lists as JSON, with a comma an entry."""
    entries = [*lists.success, *lists.failed]
    return sum(len(json.dumps(entry, ensure_ascii=False).encode()) + 1 for entry in entries)


def test_lists_are_whole_while_they_fit() -> None:
    """Up to the very byte of the limit."""
    success, failed = [f"ref-é-{n}" for n in range(100)], ['say "no"', "\U0001f600"]
    whole = ReferenceLists(success, failed)
    assert fit_lists(success, failed, size_of(whole)) == whole
    assert fit_lists(success, failed, size_of(whole) - 1).truncated


references = st.lists(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30), unique=True
)


@given(references, references, st.integers(0, 400))
def test_lists_never_pass_their_limit(
    success: list[str], failed: list[str], max_bytes: int
) -> None:
    """They are cut at the end, and say of each whether it is whole; a message of them is valid."""
    lists = fit_lists(success, failed, max_bytes)
    assert size_of(lists) <= max_bytes
    assert list(lists.success) == success[: len(lists.success)]
    assert list(lists.failed) == failed[: len(lists.failed)]
    assert lists.success_truncated == (len(lists.success) < len(success))
    assert lists.failed_truncated == (len(lists.failed) < len(failed))
    fields = assert_valid(replace(MESSAGE, lists=lists).value())
    assert ("resultUrl" in fields) == lists.truncated


def test_what_failed_has_half_of_the_room_at_least() -> None:
    """A long list of successes does not push out the failures that people look for."""
    lists = fit_lists((f"{n:06}" for n in range(10_000)), (f"{n:06}" for n in range(10_000)), 9_000)
    assert (len(lists.success), len(lists.failed)) == (500, 500)
    lists = fit_lists((f"{n:06}" for n in range(10_000)), ["a", "b"], 9_000)
    assert (len(lists.failed), lists.failed_truncated) == (2, False)
    assert (len(lists.success), lists.success_truncated) == (999, True)
    lists = fit_lists(["a"], (f"{n:06}" for n in range(10_000)), 9_000)
    assert (len(lists.success), len(lists.failed)) == (1, 999)


def test_lists_longer_than_memory_are_not_read_to_their_end() -> None:
    """Only as far as the room reaches."""
    read = 0

    def endless() -> Iterator[str]:
        nonlocal read
        while True:
            read += 1
            yield f"{read:06}"

    assert fit_lists(endless(), (), 10_000).success_truncated
    assert read < 1_200


def test_headers_are_those_of_cloud_events() -> None:
    """Attributes of CloudEvents 1.0 in binary mode, and the trace of the request."""
    event = UUID("00000000-0000-5000-8000-000000000001")
    headers = cloud_event_headers(
        event_id=event,
        domain_id=MESSAGE.domain_id,
        status="FAILED",
        time=datetime(2024, 12, 12, 9, 30, tzinfo=UTC),
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    assert dict(headers) == {
        "ce_specversion": b"1.0",
        "ce_id": str(event).encode(),
        "ce_source": b"/node-import/domains/5f0c954e-9a4b-4a53-8f0a-7c8c1c9ab001",
        "ce_type": b"node-import.nodes-transfer-job.failed",
        "ce_time": b"2024-12-12T09:30:00.000Z",
        "content-type": b"application/json",
        "traceparent": b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    }
