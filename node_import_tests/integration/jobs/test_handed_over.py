"""What becomes of jobs that were handed to Dagster, whatever dies on the way."""

from __future__ import annotations

from uuid import UUID

from node_import.contracts.error_codes import ErrorCode
from node_import.jobs.dispatch import Dispatch
from node_import.jobs.inbox import reopen
from node_import.jobs.runs import RunState
from node_import_tests.integration.jobs.queue import Queue, jobs_of, long_ago, rest_is_over
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.tenants import Tenant, job_row, one, put, rows


def run_from_the_ui(queue: Queue, database: TestDatabase, job: UUID) -> None:
    """Somebody has started the job's partition by hand, and it is being imported."""
    put(database, job, status="RUNNING", partition_key="q", dagster_run_id="from-the-ui")
    queue.runs.submit(Dispatch("q", "from-the-ui", ()))


def test_a_tick_that_died_before_its_runs_were_submitted(
    queue: Queue, acme: Tenant, database: TestDatabase
) -> None:
    """After a grace time the jobs go again, under another run key, and nobody counts a death."""
    jobs = [acme.references(), acme.references()]
    [made] = queue.tick(submit=False)
    long_ago(database)
    [again] = queue.tick()
    assert (again.partition_key, list(again.job_ids)) == (made.partition_key, jobs)
    assert again.run_key == f"{made.partition_key}:2"
    assert rows(database, "SELECT DISTINCT died_runs FROM nodes_import_job") == [(0,)]


def test_a_run_that_is_queued_for_long_is_not_given_up(
    queue: Queue, acme: Tenant, database: TestDatabase
) -> None:
    """Grace is for runs that nobody knows."""
    acme.file()
    queue.tick()
    long_ago(database)
    assert queue.tick() == []


def test_runs_that_die_before_they_claim_end_the_job(
    queue: Queue, acme: Tenant, database: TestDatabase
) -> None:
    """FAILED RUN_DIED after the last try, as an attempt with its event and its dead letter."""
    job = acme.references(2)
    run_keys = []
    for _ in range(3):
        [made] = queue.tick()
        run_keys.append(made.run_key)
        queue.runs.end(made.run_key)
        assert queue.tick() == []
        rest_is_over(database)
    assert run_keys == [f"{made.partition_key}:{number}" for number in (1, 2, 3)]
    row = job_row(database, job)
    assert (row["status"], row["failure_code"], row["attempt"]) == ("FAILED", "RUN_DIED", 1)
    assert (row["total_nodes"], row["failed_nodes"]) == (2, 2)
    event = one(database, "SELECT failed_list, total, processed FROM job_status_event")
    assert event == {"failed_list": ["ref-0", "ref-1"], "total": 2, "processed": 0}
    assert one(database, "SELECT error_code FROM job_dead_letter")["error_code"] == "RUN_DIED"
    assert queue.tick() == []


def test_a_job_can_be_given_up_while_another_file_of_its_group_runs(
    queue: Queue, acme: Tenant, database: TestDatabase
) -> None:
    """Its end does not need the group."""
    job, other = acme.file(), acme.file()
    [made] = queue.tick()
    run_from_the_ui(queue, database, other)
    queue.runs.end(made.run_key)
    assert queue.tick(max_attempts=1) == []
    assert job_row(database, job)["status"] == "FAILED"


def test_a_run_canceled_in_the_queue(queue: Queue, acme: Tenant, database: TestDatabase) -> None:
    """Its jobs are FAILED CANCELED; they do not come back by themselves."""
    job = acme.file()
    [made] = queue.tick()
    queue.runs.end(made.run_key, RunState.CANCELED)
    assert queue.tick() == []
    assert job_row(database, job)["failure_code"] == "CANCELED"


def test_a_reopened_job_goes_again_in_its_partition(
    queue: Queue, acme: Tenant, database: TestDatabase
) -> None:
    """Under a number that no run of the partition has had; what is done is not done again."""
    jobs = [acme.references() for _ in range(3)]
    [made] = queue.tick()
    queue.run(made, failure=(ErrorCode.TIMEOUT, "too slow"))
    for number, job in enumerate(jobs[:2], start=2):
        with queue.database.operator() as conn:
            assert reopen(conn, job, acme.domain_id)
        [again] = queue.tick()
        assert again.run_key == f"{made.partition_key}:{number}"
        assert again.job_ids == (job,)
        queue.run(again)
    statuses = rows(database, "SELECT status FROM nodes_import_job ORDER BY sequence_no")
    assert [status for (status,) in statuses] == ["COMPLETED", "COMPLETED", "FAILED"]


def test_a_backfill_launches_its_partitions_itself(
    queue: Queue, acme: Tenant, database: TestDatabase
) -> None:
    """Dispatch keeps off until the backfill's run is there, and steps in if it never comes."""
    job = acme.file()
    [made] = queue.tick()
    queue.run(made, failure=(ErrorCode.TIMEOUT, "too slow"))
    with queue.database.operator() as conn:
        assert reopen(conn, job, acme.domain_id, handed_over=True)
    assert queue.tick() == []
    long_ago(database)
    [again] = queue.tick()
    assert again.run_key == f"{made.partition_key}:3"


def test_a_run_of_a_backfill_canceled_in_the_queue(
    queue: Queue, acme: Tenant, database: TestDatabase
) -> None:
    """It has no run key, and ends its jobs all the same; one canceled earlier does not."""
    job = acme.file()
    [made] = queue.tick()
    queue.runs.end(made.run_key, RunState.CANCELED)
    assert queue.tick() == []
    with queue.database.operator() as conn:
        assert reopen(conn, job, acme.domain_id, handed_over=True)
    assert queue.tick() == []
    assert job_row(database, job)["status"] == "PENDING"
    queue.runs.submit(Dispatch(made.partition_key, "of-the-backfill", ()))
    assert queue.tick() == []
    assert job_row(database, job)["status"] == "PENDING"
    queue.runs.end("of-the-backfill", RunState.CANCELED)
    assert queue.tick() == []
    assert job_row(database, job)["failure_code"] == "CANCELED"


def test_a_file_that_has_to_wait_is_no_run_that_died(
    queue: Queue, acme: Tenant, database: TestDatabase
) -> None:
    """A run that met another file of its group leaves its job in the queue, unharmed."""
    job, other = acme.file(), acme.file()
    [made] = queue.tick()
    run_from_the_ui(queue, database, other)
    queue.run(made)
    assert queue.tick() == []
    put(database, other, status="COMPLETED")
    queue.runs.end("from-the-ui")
    assert jobs_of(queue.tick()) == [[job]]
    assert job_row(database, job)["died_runs"] == 0
