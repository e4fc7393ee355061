"""Ids that follow from what they stand for."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_import.contracts.identity import MessageIdentity, dead_letter_id, event_id, job_id

IDENTITY = MessageIdentity("cluster", "acme-users", 0, 17, 1_733_990_400_000)
JOB = UUID("0b5f4c8e-0e7a-5f0e-8a43-3a1f5c7f9d10")

identities = st.builds(
    MessageIdentity,
    st.text(max_size=4),
    st.text(max_size=4),
    st.integers(-1, 99),
    st.integers(-1, 99),
    st.integers(-1, 99),
)


def test_ids_never_change_between_versions() -> None:
    """A new version must know the jobs, events and letters of the old one."""
    assert job_id(IDENTITY) == UUID("f10e7608-9577-5810-adc0-3bd4da0207ed")
    assert event_id(JOB, 1, "FAILED") == UUID("db9f916d-55f4-5d5f-bee9-aef06a37f593")
    assert dead_letter_id(JOB, 1) == UUID("1281ee88-5ff3-54f1-83a7-f5e794571803")


@pytest.mark.parametrize(
    "change",
    [
        {"cluster_id": "rebuilt"},
        {"topic": "bolt-users"},
        {"partition": 1},
        {"offset": 18},
        {"timestamp_ms": -1},
    ],
)
def test_every_part_of_the_identity_counts(change: dict[str, object]) -> None:
    """A rebuilt cluster, or a topic made again, gives other jobs."""
    assert job_id(replace(IDENTITY, **change)) != job_id(IDENTITY)  # type: ignore[arg-type]


@given(identities, identities)
def test_two_messages_never_share_a_job(one: MessageIdentity, other: MessageIdentity) -> None:
    """Whatever the names hold, separators too."""
    assert (job_id(one) == job_id(other)) == (one == other)


def test_an_event_is_one_of_attempt_and_status() -> None:
    """Another attempt or another end is another event, and a letter is none of them."""
    ids = {event_id(JOB, attempt, end) for attempt in (1, 2) for end in ("COMPLETED", "FAILED")}
    ids |= {dead_letter_id(JOB, attempt) for attempt in (1, 2)}
    assert len(ids) == 6
