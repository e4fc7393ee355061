"""Claims, decided by the database: one run has a job, whoever else asks at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from node_import.database import Database
from node_import.errors import ClaimLost
from node_import.jobs.claiming import PartitionClaim, claim_partition, fence_slice, hold_claims
from node_import.jobs.record import Claim, JobStatus
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.tenants import Tenant, job_row, put, rows


def nobody_lives(run_id: str) -> bool:
    """Every run but one's own is over."""
    return False


def everybody_lives(run_id: str) -> bool:
    """Every other run is still alive."""
    return True


def in_partition(database: TestDatabase, *jobs: UUID, key: str = "p") -> None:
    """The jobs have been dispatched together."""
    for job in jobs:
        put(database, job, partition_key=key, dispatch_no=1)


def fail(database: TestDatabase, job: UUID, run_id: str = "earlier") -> None:
    """The job's last attempt failed."""
    put(database, job, status="FAILED", attempt=1, dagster_run_id=run_id, failure_code="TIMEOUT")


def two_failed_files(acme: Tenant, database: TestDatabase) -> tuple[UUID, UUID]:
    """Of one group, in the order in which they came, in the partitions `a` and `b`."""
    first, second = acme.file(), acme.file()
    for key, job in (("a", first), ("b", second)):
        in_partition(database, job, key=key)
        fail(database, job)
    return first, second


def ids(claim: PartitionClaim) -> set[UUID]:
    """The jobs that were claimed."""
    return {job.id for job, _ in claim.claimed}


def test_a_run_claims_the_jobs_of_its_partition(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """All of them, as their first attempt; the run's heart has begun to beat."""
    first, second, other = acme.references(), acme.references(), acme.references()
    in_partition(database, first, second)

    claim = claim_partition(importer, "p", "run", run_is_live=nobody_lives)

    assert ids(claim) == {first, second}
    assert claim.refused == []
    assert [c for _, c in claim.claimed if c.job_id == first] == [
        Claim(first, acme.domain_id, "run", 1)
    ]
    assert {job.status for job, _ in claim.claimed} == {JobStatus.RUNNING}
    row = job_row(database, first)
    assert (row["status"], row["attempt"], row["dagster_run_id"]) == ("RUNNING", 1, "run")
    assert row["started_at"] is not None
    assert job_row(database, other)["status"] == "PENDING"
    assert rows(database, "SELECT dagster_run_id FROM run_heartbeat") == [("run",)]


def test_an_unknown_partition_has_no_work(importer: Database) -> None:
    """A pruned or mistyped key claims nothing."""
    claim = claim_partition(importer, "nowhere", "run", run_is_live=nobody_lives)
    assert (claim.claimed, claim.refused) == ([], [])


def test_the_same_run_enters_again(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """A step that is tried again goes on with the same attempt."""
    in_partition(database, acme.file())
    first = claim_partition(importer, "p", "run", run_is_live=nobody_lives)
    again = claim_partition(importer, "p", "run", run_is_live=nobody_lives)
    later = hold_claims(importer, "p", "run", run_is_live=nobody_lives)
    assert first.claimed[0][1] == again.claimed[0][1] == later.claimed[0][1]


def test_a_live_run_keeps_its_job(importer: Database, acme: Tenant, database: TestDatabase) -> None:
    """Another run is told who has it, and changes nothing."""
    job = acme.file()
    in_partition(database, job)
    claim_partition(importer, "p", "run", run_is_live=nobody_lives)
    claim = claim_partition(importer, "p", "other", run_is_live=everybody_lives)
    assert claim.claimed == []
    assert [reason for _, reason in claim.refused] == [f"job {job} is being imported by run run"]
    assert job_row(database, job)["dagster_run_id"] == "run"


def test_the_job_of_a_dead_run_is_taken_over(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """A re-execution from failure may begin with any step; it begins the next attempt."""
    in_partition(database, acme.file())
    dead = claim_partition(importer, "p", "dead", run_is_live=nobody_lives).claimed[0][1]
    taken = hold_claims(importer, "p", "run", run_is_live=nobody_lives).claimed[0][1]
    assert (taken.dagster_run_id, taken.attempt) == ("run", 2)
    lost = hold_claims(importer, "p", "dead", run_is_live=everybody_lives)
    assert lost.claimed == []
    with importer.tenant(acme.domain_id) as conn:
        fence_slice(conn, taken)
    with pytest.raises(ClaimLost), importer.tenant(acme.domain_id) as conn:
        fence_slice(conn, dead)


def test_a_re_execution_begins_with_a_clean_record(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """FAILED → RUNNING clears what the last attempt said of itself."""
    job = acme.file()
    in_partition(database, job)
    fail(database, job)
    put(database, job, total_nodes=3, rejected_nodes=3, rejects_url="s3://b/r", died_runs=3)
    put(database, job, source_url="s3://b/k", object_version="v", plan_fingerprint="p")
    claim_partition(importer, "p", "run", run_is_live=nobody_lives)
    row = job_row(database, job)
    assert (row["status"], row["attempt"], row["failure_code"]) == ("RUNNING", 2, None)
    assert (row["total_nodes"], row["rejected_nodes"], row["rejects_url"]) == (0, 0, None)
    assert (row["source_url"], row["object_version"], row["plan_fingerprint"]) == (None,) * 3
    assert row["died_runs"] == 0


def test_a_closed_job_is_not_opened_by_its_own_run(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """A step behind the close leaves the job FAILED."""
    job = acme.file()
    in_partition(database, job)
    fail(database, job, run_id="run")
    assert hold_claims(importer, "p", "run", run_is_live=nobody_lives).claimed == []
    assert job_row(database, job)["status"] == "FAILED"


def test_a_later_step_takes_only_what_was_prepared(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """A job of the partition that was reopened meanwhile waits for a run of its own."""
    mine, reopened = acme.references(), acme.references()
    in_partition(database, mine, reopened)
    put(database, reopened, status="COMPLETED")
    claim_partition(importer, "p", "run", run_is_live=nobody_lives)
    put(database, reopened, status="PENDING")
    held = hold_claims(importer, "p", "run", run_is_live=nobody_lives, job_ids={mine})
    assert ids(held) == {mine}
    assert job_row(database, reopened)["status"] == "PENDING"


def test_an_old_file_needs_force(importer: Database, acme: Tenant, database: TestDatabase) -> None:
    """A re-execution from the UI must not overwrite a newer file; it says how to do it."""
    old, new = acme.file(), acme.file()
    in_partition(database, old)
    fail(database, old)
    put(database, new, status="COMPLETED")

    refused = claim_partition(importer, "p", "run", run_is_live=nobody_lives)
    [(_, reason)] = refused.refused
    assert str(new) in reason
    assert "--force" in reason
    assert job_row(database, old)["status"] == "FAILED"
    assert rows(database, "SELECT dagster_run_id FROM run_heartbeat") == []

    forced = claim_partition(importer, "p", "run", run_is_live=nobody_lives, force=True)
    assert ids(forced) == {old}


def test_an_old_file_that_was_reopened_comes_again(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """Whoever reopened it has been asked; files of another group and lists are no newer file."""
    old, new = acme.file(), acme.file()
    other = acme.file("h")
    in_partition(database, old)
    put(database, new, status="COMPLETED")
    assert ids(claim_partition(importer, "p", "run", run_is_live=nobody_lives)) == {old}

    in_partition(database, other, key="q")
    fail(database, other)
    assert ids(claim_partition(importer, "q", "run", run_is_live=nobody_lives)) == {other}


def test_one_file_of_a_group_at_a_time(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """The second has to wait and goes back into the queue; another group does not wait."""
    first, second, other = acme.file(), acme.file(), acme.file("h")
    for key, job in (("a", first), ("b", second), ("c", other)):
        in_partition(database, job, key=key)
        with database.connect() as conn:
            conn.execute("UPDATE nodes_import_job SET dispatched_at = now() WHERE id = %s", [job])
        claim = claim_partition(importer, key, key, run_is_live=everybody_lives)
        assert ids(claim) == (set() if key == "b" else {job})
    row = job_row(database, second)
    assert (row["status"], row["dispatched_at"], row["attempt"]) == ("PENDING", None, 0)


def test_the_files_of_a_group_go_in_order(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """A later one whose run begins first, as in a backfill of both, goes back into the queue."""
    first, second = acme.file(), acme.file()
    for key, job in (("a", first), ("b", second)):
        in_partition(database, job, key=key)
    refused = claim_partition(importer, "b", "b", run_is_live=nobody_lives).refused
    assert [reason for _, reason in refused] == [
        f"job {second} has to wait: job {first}, an earlier file of its group, comes first"
    ]
    assert job_row(database, second)["status"] == "PENDING"
    assert ids(claim_partition(importer, "a", "a", run_is_live=nobody_lives)) == {first}
    put(database, first, status="COMPLETED")
    assert ids(claim_partition(importer, "b", "b", run_is_live=nobody_lives)) == {second}


def test_a_failed_file_that_is_run_again_waits_its_turn(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """Both of a group at once, as in a backfill by Dagster: the later one is not forgotten."""
    first, second = two_failed_files(acme, database)
    assert ids(claim_partition(importer, "a", "a", run_is_live=everybody_lives)) == {first}
    refused = claim_partition(importer, "b", "b", run_is_live=everybody_lives).refused
    assert [reason for _, reason in refused] == [
        f"job {second} has to wait: another file import of its group is running"
    ]
    row = job_row(database, second)
    assert (row["status"], row["failure_code"], row["dispatched_at"]) == ("PENDING", None, None)


def test_a_failed_file_does_not_wait_for_a_later_one(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """It would overwrite that one's nodes when its turn came."""
    first, second = two_failed_files(acme, database)
    assert ids(claim_partition(importer, "b", "b", run_is_live=everybody_lives)) == {second}
    refused = claim_partition(importer, "a", "a", run_is_live=everybody_lives).refused
    assert [reason for _, reason in refused] == [
        f"job {first} is older than job {second}, a file import of its group that is running"
    ]
    assert job_row(database, first)["status"] == "FAILED"


def test_of_many_runs_one_wins(importer: Database, acme: Tenant, database: TestDatabase) -> None:
    """Runs that claim a partition at once: each job is claimed exactly once."""
    jobs = [acme.references() for _ in range(20)]
    in_partition(database, *jobs)

    def claim(number: int) -> list[UUID]:
        taken = claim_partition(importer, "p", f"run-{number}", run_is_live=everybody_lives)
        return [job.id for job, _ in taken.claimed]

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(claim, range(8)))

    assert sorted(job for part in won for job in part) == sorted(jobs)
    assert rows(database, "SELECT DISTINCT attempt FROM nodes_import_job") == [(1,)]


def test_a_claim_waits_for_a_slice_at_its_fence(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """A slice that passed its fence commits before the job changes hands, and none after it."""
    in_partition(database, acme.file())
    dead = claim_partition(importer, "p", "dead", run_is_live=nobody_lives).claimed[0][1]
    with ThreadPoolExecutor(1) as pool:
        with importer.tenant(acme.domain_id) as conn:
            fence_slice(conn, dead)
            taking = pool.submit(claim_partition, importer, "p", "run", run_is_live=nobody_lives)
            while not rows(database, "SELECT FROM pg_locks WHERE NOT granted"):
                assert not taking.done()
        assert taking.result().claimed[0][1].attempt == 2


def test_a_slice_under_way_does_not_hold_up_a_claim(
    importer: Database, acme: Tenant, database: TestDatabase
) -> None:
    """Its ledger row holds a foreign key's lock on the job, which a claim must not wait for."""
    job = acme.file()
    in_partition(database, job)
    claim_partition(importer, "p", "dead", run_is_live=nobody_lives)
    with importer.tenant(acme.domain_id) as conn:
        conn.execute(
            "INSERT INTO import_ledger (job_id, domain_id, object_version, plan_fingerprint,"
            " slice_no, dagster_run_id, attempt) VALUES (%s, %s, 'v', 'p', 0, 'dead', 1)",
            [job, acme.domain_id],
        )
        claim = claim_partition(importer, "p", "run", run_is_live=nobody_lives)
    assert claim.claimed[0][1].attempt == 2
