"""What becomes of a job when an attempt ends."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node_import.contracts.error_codes import ErrorCode
from node_import.jobs.ledger import LedgerTotals
from node_import.jobs.outcome import JobOutcome, as_the_ledger_says, settle
from node_import.jobs.record import JobStatus

COUNT = st.integers(0, 1_000)


def test_all_rows_imported() -> None:
    """COMPLETED has neither a code nor a reason, and is no dead letter."""
    settled = settle(JobOutcome(total=4, inserted=1, updated=1, unchanged=1, duplicate=1))
    assert (settled.status, settled.code, settled.reason) == (JobStatus.COMPLETED, None, None)
    assert not settled.is_dead_letter


def test_a_file_without_rows_is_completed() -> None:
    """Nothing to import is nothing that failed."""
    assert settle(JobOutcome()).status is JobStatus.COMPLETED


def test_rejected_rows() -> None:
    """The reason counts them, by code, the most frequent first; the message is not at fault."""
    rejects = {"INVALID_TYPE": 1, "NUL_CHARACTER": 2}
    settled = settle(JobOutcome(total=100, inserted=97, rejected=3, rejects_by_code=rejects))
    assert (settled.status, settled.code) == (JobStatus.FAILED, ErrorCode.ROWS_REJECTED)
    assert settled.reason == "3 of 100 rows were rejected: NUL_CHARACTER 2, INVALID_TYPE 1"
    assert not settled.is_dead_letter


def test_rows_that_could_not_be_loaded() -> None:
    """Good rows that are not in the ledger fail the job, rejects beside them or not."""
    settled = settle(JobOutcome(total=10, inserted=7, rejected=1, failed=2))
    assert settled.code is ErrorCode.DATABASE_UNAVAILABLE
    assert settled.is_dead_letter


def test_a_failure_of_the_whole_comes_first() -> None:
    """Its own code is told, not that of the rows."""
    outcome = JobOutcome(total=9, rejected=9, failure=(ErrorCode.CORRUPT_GZIP, "it broke"))
    settled = settle(outcome)
    assert (settled.code, settled.reason) == (ErrorCode.CORRUPT_GZIP, "it broke")


def test_a_reason_can_be_stored() -> None:
    """A file name with a NUL or bytes that are no text does not keep a job from being closed."""
    failure = (ErrorCode.FILE_NOT_FOUND, "a\0b\udcff" + "x" * 9_999)
    reason = settle(JobOutcome(failure=failure)).reason or ""
    assert reason.startswith("a\N{REPLACEMENT CHARACTER}b?xxx")
    assert len(reason) == 2_000


@given(COUNT, COUNT, st.tuples(COUNT, COUNT, COUNT, COUNT), st.tuples(COUNT, COUNT))
def test_the_ledger_knows_better(
    total: int, rejected: int, loaded: tuple[int, ...], claimed: tuple[int, int]
) -> None:
    """Whatever the steps believed, counts are the ledger's and add up to the total."""
    believed = JobOutcome(total=total, rejected=rejected, inserted=claimed[0], failed=claimed[1])
    ledger = LedgerTotals(*loaded)
    outcome = as_the_ledger_says(believed, ledger)
    assert outcome.processed == ledger.processed
    assert outcome.total == outcome.processed + outcome.rejected + outcome.failed
    assert min(outcome.failed, outcome.total - total) >= 0
    complete = outcome.processed == outcome.total
    assert (settle(outcome).status is JobStatus.COMPLETED) == complete
