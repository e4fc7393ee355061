"""Which run may take which job."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node_import.jobs.record import Job, JobStatus
from node_import.jobs.transitions import LEGAL_TRANSITIONS, Granted, Refused, decide_claims
from node_import_tests.unit.jobs.records import a_job

LIVE = {"me": True, "live": True, "dead": False}


def decide(job: Job, *others: Job) -> Granted | Refused:
    """What the run `me` may do with the job, which has others beside it in its partition."""
    return decide_claims([job, *others], "me", LIVE.__getitem__)[job.id]


@pytest.mark.parametrize(
    ("status", "holder", "decision"),
    [
        ("PENDING", None, Granted(3, new=True)),
        ("PENDING", "dead", Granted(3, new=True)),
        ("FAILED", "dead", Granted(3, new=True)),
        ("RUNNING", "me", Granted(2, new=False)),
        ("RUNNING", "dead", Granted(3, new=True)),
    ],
)
def test_granted(status: str, holder: str | None, decision: Granted) -> None:
    """A free job and one of a dead run begin another attempt; one's own goes on."""
    job = a_job(status=JobStatus(status), dagster_run_id=holder, attempt=2)
    assert decide(job) == decision


@pytest.mark.parametrize(
    ("status", "holder", "why"),
    [
        ("RUNNING", "live", "run live"),
        ("COMPLETED", "dead", "COMPLETED already"),
        ("COMPLETED", "me", "COMPLETED already"),
        ("FAILED", "me", "closed as FAILED by this run"),
        ("PENDING", "me", "taken from this run"),
    ],
)
def test_refused(status: str, holder: str | None, why: str) -> None:
    """A job that is done, another's, or lost to this run is left alone, and it says why."""
    job = a_job(status=JobStatus(status), dagster_run_id=holder, attempt=2)
    decision = decide(job)
    assert isinstance(decision, Refused)
    assert why in decision.reason


@pytest.mark.parametrize(
    ("status", "holder"),
    [("PENDING", None), ("PENDING", "dead"), ("FAILED", "dead"), ("RUNNING", "dead")],
)
def test_a_run_that_was_given_up_takes_nothing(status: str, holder: str | None) -> None:
    """Two that were thought dead and are not would take a job from each other for ever."""
    job = a_job(status=JobStatus(status), dagster_run_id=holder, attempt=2)
    decision = decide_claims([job], "me", LIVE.__getitem__, given_up=True)[job.id]
    assert isinstance(decision, Refused)
    assert "counted as dead" in decision.reason


def test_a_run_that_was_given_up_goes_on_with_what_it_holds() -> None:
    """Nobody has taken it, so nobody else works at it."""
    job = a_job(status=JobStatus.RUNNING, dagster_run_id="me", attempt=2)
    decisions = decide_claims([job], "me", LIVE.__getitem__, given_up=True)
    assert decisions[job.id] == Granted(2, new=False)


@given(st.sampled_from(JobStatus), st.sampled_from([None, "me", "live", "dead"]), st.integers(0, 9))
def test_a_claim_is_a_legal_way(status: JobStatus, holder: str | None, attempt: int) -> None:
    """Whatever is granted ends in RUNNING by legal steps, and attempts only grow."""
    job = a_job(status=status, dagster_run_id=holder, attempt=attempt)
    decision = decide(job)
    if isinstance(decision, Granted):
        assert decision.attempt == attempt + decision.new
        by_pending = JobStatus.PENDING in LEGAL_TRANSITIONS[status]
        direct = JobStatus.RUNNING in LEGAL_TRANSITIONS[status]
        assert direct or by_pending
