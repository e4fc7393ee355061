"""Closing a job: exactly once, by the run that holds it, with what the ledger says."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID

import pytest

from node_import.contracts.error_codes import ErrorCode
from node_import.contracts.identity import dead_letter_id, event_id
from node_import.contracts.status_message import ReferenceLists
from node_import.database import Database
from node_import.errors import ClaimLost
from node_import.jobs.claiming import claim_partition
from node_import.jobs.closing import close
from node_import.jobs.inbox import reopen
from node_import.jobs.outcome import JobOutcome
from node_import.jobs.record import Claim
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.tenants import Tenant, job_row, load_slice, one, put, rows

OUTCOME = JobOutcome(total=10, object_version="v", plan_fingerprint="p", source_url="s3://b/k")


def running(importer: Database, database: TestDatabase, job: UUID, run_id: str = "run") -> Claim:
    """The job, claimed by a run."""
    put(database, job, partition_key=str(job))
    claimed = claim_partition(importer, str(job), run_id, run_is_live=lambda _: False)
    return claimed.claimed[0][1]


def end(importer: Database, claim: Claim, outcome: JobOutcome) -> bool:
    """Close it as `close_job` does."""
    with importer.connect() as conn:
        return close(conn, claim, outcome)


def test_completed(importer: Database, acme: Tenant, database: TestDatabase) -> None:
    """The row has the ledger's counts, the outbox the status message, and there is no letter."""
    job = acme.file()
    claim = running(importer, database, job)
    load_slice(database, claim, 0, inserted=6)
    load_slice(database, claim, 1, inserted=3, duplicate=1)
    outcome = replace(OUTCOME, lists=ReferenceLists(("a", "b"), (), success_truncated=True))

    assert end(importer, claim, replace(outcome, result_url="s3://b/full"))

    row = job_row(database, job)
    assert (row["status"], row["total_nodes"], row["processed_nodes"]) == ("COMPLETED", 10, 10)
    assert (row["inserted_nodes"], row["duplicate_nodes"]) == (9, 1)
    assert (row["failure_code"], row["failure_reason"]) == (None, None)
    assert row["finished_at"] >= row["started_at"]
    event = one(database, "SELECT * FROM job_status_event")
    assert event["id"] == event_id(job, 1, "COMPLETED")
    assert (event["processed"], event["total"], event["published_at"]) == (10, 10, None)
    assert (event["success_list"], event["failed_list"]) == (["a", "b"], [])
    details = event["details"]
    assert {details.pop("startedAt")[-1], details.pop("finishedAt")[-1]} == {"Z"}
    assert details == {
        "jobId": str(job),
        "groupId": "g",
        "domainId": str(acme.domain_id),
        "status": "COMPLETED",
        "processed": 10,
        "total": 10,
        "successListTruncated": True,
        "failedListTruncated": False,
        "resultUrl": "s3://b/full",
        "attempt": 1,
    }
    assert rows(database, "SELECT FROM job_dead_letter") == []


def test_rejected_rows_are_no_dead_letter(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """FAILED with its numbers, but the message was fine."""
    claim = running(importer, database, acme.file())
    load_slice(database, claim, 0, inserted=8)
    rejects = {"INVALID_TYPE": 2}
    end(importer, claim, replace(OUTCOME, rejected=2, rejects_by_code=rejects, rejects_url="r"))
    row = job_row(database, claim.job_id)
    assert (row["status"], row["failure_code"]) == ("FAILED", "ROWS_REJECTED")
    assert (row["rejected_nodes"], row["rejects_by_code"]) == (2, rejects)
    details = one(database, "SELECT details FROM job_status_event")["details"]
    assert (details["failureCode"], details["rejectsUrl"]) == ("ROWS_REJECTED", "r")
    assert rows(database, "SELECT FROM job_dead_letter") == []


def test_a_failure_leaves_a_dead_letter(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """With its code, its reason, and the time of the first failure, kept over attempts."""
    job = acme.file()
    failure = (ErrorCode.FILE_NOT_FOUND, "there is no s3://bucket/key")
    for attempt in (1, 2):
        claim = running(importer, database, job, f"run-{attempt}")
        assert end(importer, claim, JobOutcome(failure=failure))
        with importer.operator() as conn:
            reopen(conn, job, acme.domain_id)

    query = "SELECT id, attempt, error_code, error_message FROM job_dead_letter ORDER BY attempt"
    assert rows(database, query) == [
        (dead_letter_id(job, 1), 1, *failure),
        (dead_letter_id(job, 2), 2, *failure),
    ]
    times = rows(database, "SELECT DISTINCT first_failed_at FROM job_dead_letter")
    assert len(times) == 1


def test_slices_of_another_object_do_not_count(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """Rows that are in no ledger row of this version and plan were not imported."""
    claim = running(importer, database, acme.file())
    load_slice(database, claim, 0, inserted=10)
    end(importer, claim, replace(OUTCOME, object_version="changed", inserted=10))
    row = job_row(database, claim.job_id)
    assert (row["status"], row["failed_nodes"]) == ("FAILED", 10)
    assert row["failure_code"] == "DATABASE_UNAVAILABLE"


def test_closing_again_changes_nothing(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """A step that is tried again after a close that it did not hear of."""
    claim = running(importer, database, acme.file())
    assert end(importer, claim, JobOutcome())
    assert not end(importer, claim, JobOutcome(failure=(ErrorCode.TIMEOUT, "late")))
    assert job_row(database, claim.job_id)["status"] == "COMPLETED"
    assert len(rows(database, "SELECT FROM job_status_event")) == 1


def test_a_lost_claim_closes_nothing(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """A run that counted as dead comes too late, before and after its successor has claimed."""
    job = acme.file()
    dead = running(importer, database, job, "dead")
    put(database, job, status="PENDING")
    with pytest.raises(ClaimLost):
        end(importer, dead, JobOutcome())
    running(importer, database, job)
    with pytest.raises(ClaimLost):
        end(importer, dead, JobOutcome())
    assert job_row(database, job)["status"] == "RUNNING"
    assert rows(database, "SELECT FROM job_status_event") == []


def test_of_many_who_close_one_does(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """One event, whatever happens at once."""
    claim = running(importer, database, acme.file())
    with ThreadPoolExecutor(6) as pool:
        closed = list(pool.map(lambda _: end(importer, claim, JobOutcome()), range(6)))
    assert sorted(closed) == [False] * 5 + [True]
    assert len(rows(database, "SELECT FROM job_status_event")) == 1
