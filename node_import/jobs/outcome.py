"""How an attempt ended, and what that makes of the job. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.status_message import ReferenceLists
from node_import.jobs.ledger import LedgerTotals
from node_import.jobs.record import JobStatus

# A reason is read by people, in a table and on one line of a terminal.
MAX_REASON = 2_000


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """What the steps know of an attempt when it ends.

    The six counts add up to `total`, the rows read. `failure` is why the job failed as a whole:
    a code and a sentence. `lists` hold what the status message carries, cut or whole.
    """

    total: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicate: int = 0
    rejected: int = 0
    failed: int = 0
    rejects_by_code: Mapping[str, int] = field(default_factory=dict)
    failure: tuple[ErrorCode, str] | None = None
    lists: ReferenceLists = field(default_factory=ReferenceLists)
    source_url: str | None = None
    object_version: str | None = None
    plan_fingerprint: str | None = None
    rejects_url: str | None = None
    result_url: str | None = None

    @property
    def processed(self) -> int:
        """Rows that are imported."""
        return self.inserted + self.updated + self.unchanged + self.duplicate


@dataclass(frozen=True, slots=True)
class Settlement:
    """The last state of an attempt; code and reason are None for COMPLETED alone."""

    status: JobStatus
    code: ErrorCode | None
    reason: str | None

    @property
    def is_dead_letter(self) -> bool:
        """Whether the message goes to the dead-letter topic: FAILED, but not for rows alone."""
        return self.status is JobStatus.FAILED and self.code is not ErrorCode.ROWS_REJECTED


def as_the_ledger_says(outcome: JobOutcome, ledger: LedgerTotals) -> JobOutcome:
    """`outcome` with the counts of the ledger; rows that are neither there nor rejected failed.

    The ledger commits with the rows, so it knows better than the steps. More rows than the
    steps have read are those of an earlier attempt whose source could be read further.
    """
    total = max(outcome.total, ledger.processed + outcome.rejected)
    return replace(
        outcome,
        total=total,
        inserted=ledger.inserted,
        updated=ledger.updated,
        unchanged=ledger.unchanged,
        duplicate=ledger.duplicate,
        failed=total - ledger.processed - outcome.rejected,
    )


def settle(outcome: JobOutcome) -> Settlement:
    """COMPLETED if and only if nothing failed and every row was imported."""
    if outcome.failure is not None:
        code, reason = outcome.failure
    elif outcome.failed:
        code = ErrorCode.DATABASE_UNAVAILABLE
        reason = f"{outcome.failed} of {outcome.total} rows could not be loaded; import them again"
    elif outcome.rejected:
        code, reason = ErrorCode.ROWS_REJECTED, _rows_rejected(outcome)
    else:
        return Settlement(JobStatus.COMPLETED, None, None)
    return Settlement(JobStatus.FAILED, code, _storable(reason))


def _rows_rejected(outcome: JobOutcome) -> str:
    by_frequency = sorted(outcome.rejects_by_code.items(), key=lambda entry: (-entry[1], entry[0]))
    codes = ", ".join(f"{code} {count}" for code, count in by_frequency)
    summary = f"{outcome.rejected} of {outcome.total} rows were rejected"
    return f"{summary}: {codes}" if codes else summary


def _storable(reason: str) -> str:
    """PostgreSQL's text takes no NUL, UTF-8 no lone surrogates; a file name may hold both."""
    whole = reason.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return whole.encode("utf-8", "replace").decode("utf-8")[:MAX_REASON]
