"""The end of an attempt: last state, status event and dead letter, in one transaction."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.identity import dead_letter_id, event_id
from node_import.contracts.node_exchange import MAX_REFERENCE_CHARACTERS
from node_import.contracts.status_message import ReferenceLists, StatusMessage, fit_lists
from node_import.contracts.white_space import trimmed
from node_import.database import Connection
from node_import.database.connections import operator_transaction
from node_import.errors import ClaimLost
from node_import.jobs.ledger import last_ledger_totals, ledger_totals
from node_import.jobs.outcome import JobOutcome, Settlement, as_the_ledger_says, settle
from node_import.jobs.record import Claim, Job, JobKind, JobStatus
from node_import.jobs.table import job_statement
from node_import.sizes import KIB
from node_import.sql import statements

# A job that is given up has no run that could put a longer list into the object store.
GIVEN_UP_LIST_BYTES = 256 * KIB


def close(conn: Connection, claim: Claim, outcome: JobOutcome) -> bool:
    """Close the job that `claim` holds; False if this very attempt was closed before.

    The counts of imported rows are those of the ledger, whatever `outcome` says. Slices commit
    with `synchronous_commit = off`; this commit waits for the disk and makes them durable too.

    Raises:
        ClaimLost: another run has the job; nothing was written.
    """
    with operator_transaction(conn):
        conn.execute("SET LOCAL synchronous_commit = on")
        job = _lock(conn, claim.job_id)
        if job is None or (job.dagster_run_id, job.attempt) != (
            claim.dagster_run_id,
            claim.attempt,
        ):
            raise ClaimLost(f"run {claim.dagster_run_id} no longer holds job {claim.job_id}")
        if job.status in {JobStatus.COMPLETED, JobStatus.FAILED}:
            return False
        if job.status is not JobStatus.RUNNING:
            raise ClaimLost(f"job {job.id} was taken from run {claim.dagster_run_id}")
        ledger = ledger_totals(conn, job.id, outcome.object_version, outcome.plan_fingerprint)
        _write_end(conn, job, as_the_ledger_says(outcome, ledger))
        return True


def give_up(conn: Connection, job: Job, code: ErrorCode, reason: str) -> None:
    """FAILED for a job whose run left no outcome; inside the transaction that has locked it.

    For a PENDING job this is an attempt of its own: its run died too early to begin one. What is
    known of the rows is what the ledger has.
    """
    if job.status is JobStatus.PENDING:
        row = conn.execute(job_statement("begin_attempt"), {"job_id": job.id}).fetchone()
        if row is None:
            raise ClaimLost(f"job {job.id} is not PENDING")
        job = Job.from_row(row)
    ledger = last_ledger_totals(conn, job.id)
    outcome = JobOutcome(
        failure=(code, reason),
        source_url=job.source_url,
        object_version=job.object_version,
        plan_fingerprint=job.plan_fingerprint,
    )
    if ledger.slices:  # which references is not known here, only how many
        cut = ReferenceLists(success_truncated=True, failed_truncated=True)
        outcome = replace(outcome, lists=cut)
    elif job.kind is JobKind.REFERENCES:
        outcome = _nothing_imported(job, outcome)
    _write_end(conn, job, as_the_ledger_says(outcome, ledger))


def _nothing_imported(job: Job, outcome: JobOutcome) -> JobOutcome:
    """Every reference of the list failed; one that is empty or too long is only counted."""
    references = dict.fromkeys(map(trimmed, job.request.get("referenceIds") or ()))
    failed = (text for text in references if 1 <= len(text) <= MAX_REFERENCE_CHARACTERS)
    lists = fit_lists((), failed, GIVEN_UP_LIST_BYTES)
    return replace(outcome, total=job.reference_count, lists=lists)


def _lock(conn: Connection, job_id: UUID) -> Job | None:
    row = conn.execute(job_statement("lock_job"), {"job_id": job_id}).fetchone()
    return Job.from_row(row) if row is not None else None


def _write_end(conn: Connection, job: Job, outcome: JobOutcome) -> None:
    settlement = settle(outcome)
    parameters = _end_parameters(job, outcome, settlement)
    row = conn.execute(job_statement("close_job"), parameters).fetchone()
    if row is None:
        raise ClaimLost(f"job {job.id} is closed already")
    closed = Job.from_row(row)
    conn.execute(statements("jobs.sql")["add_status_event"], _event(closed, outcome))
    if settlement.is_dead_letter:
        letter = {"id": dead_letter_id(job.id, job.attempt), "job_id": job.id}
        conn.execute(statements("jobs.sql")["add_dead_letter"], letter)


def _end_parameters(job: Job, outcome: JobOutcome, settlement: Settlement) -> dict[str, Any]:
    return {
        "job_id": job.id,
        "status": settlement.status.value,
        "failure_code": settlement.code,
        "failure_reason": settlement.reason,
        "total": outcome.total,
        "processed": outcome.processed,
        "inserted": outcome.inserted,
        "updated": outcome.updated,
        "unchanged": outcome.unchanged,
        "duplicate": outcome.duplicate,
        "rejected": outcome.rejected,
        "failed": outcome.failed,
        "rejects_by_code": Jsonb(dict(outcome.rejects_by_code)),
        "source_url": outcome.source_url,
        "object_version": outcome.object_version,
        "plan_fingerprint": outcome.plan_fingerprint,
        "rejects_url": outcome.rejects_url,
        "result_url": outcome.result_url,
    }


def _event(job: Job, outcome: JobOutcome) -> dict[str, Any]:
    """The outbox row: the status message as it will be sent, its lists beside the rest."""
    message = StatusMessage(
        job_id=job.id,
        group_id=str(job.request.get("groupId", job.group_id)),
        domain_id=job.domain_id,
        status="COMPLETED" if job.status is JobStatus.COMPLETED else "FAILED",
        processed=job.processed_nodes,
        total=job.total_nodes,
        attempt=job.attempt,
        lists=outcome.lists,
        result_url=outcome.result_url,
        rejects_url=outcome.rejects_url,
        failure_code=job.failure_code,
        failure_reason=job.failure_reason,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )
    return {
        "id": event_id(job.id, job.attempt, job.status),
        "job_id": job.id,
        "success_list": Jsonb(list(outcome.lists.success)),
        "failed_list": Jsonb(list(outcome.lists.failed)),
        "details": Jsonb(message.details()),
    }
