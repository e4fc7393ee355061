"""Dispatch: the job table is the queue, whatever dies on the way to Dagster."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from node_import.contracts.error_codes import ErrorCode
from node_import.database import Database
from node_import.jobs.claiming import claim_partition
from node_import.jobs.closing import close
from node_import.jobs.dispatch import Dispatch, dispatch
from node_import.jobs.inbox import reopen
from node_import.jobs.outcome import JobOutcome
from node_import.jobs.runs import RunState
from node_import.settings import Settings
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.runs import FakeRuns
from node_import_tests.support.tenants import Tenant, job_row, one, put, rows


class Queue:
    """A sensor that ticks when it is told to."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.settings = settings
        self.runs = FakeRuns()
        self.files_can_be_read = True
        self.asked = 0

    def tick(self, *, submit: bool = True, **settings: Any) -> list[Dispatch]:
        """One tick; unless it dies, what it yields becomes runs."""
        changed = self.settings.model_copy(update=settings)
        dispatches = dispatch(
            self.database, changed, self.runs, files_can_be_read=self._files_can_be_read
        )
        if submit:
            self.runs.submit(*dispatches)
        return dispatches

    def _files_can_be_read(self) -> bool:
        self.asked += 1
        return self.files_can_be_read

    def run(self, made: Dispatch, failure: tuple[ErrorCode, str] | None = None) -> None:
        """The run does its work from claim to end."""
        claimed = claim_partition(
            self.database, made.partition_key, made.run_key, run_is_live=lambda _: True
        )
        with self.database.connect() as conn:
            for _, claim in claimed.claimed:
                close(conn, claim, JobOutcome(failure=failure))
        self.runs.end(made.run_key)


@pytest.fixture
def queue(importer: Database, settings: Settings) -> Queue:
    """The queue of this test's database."""
    return Queue(importer, settings)


def jobs_of(dispatches: Sequence[Dispatch]) -> list[list[UUID]]:
    """The jobs of each run."""
    return [list(made.job_ids) for made in dispatches]


def rest_is_over(database: TestDatabase) -> None:
    """The backoff of every job has passed."""
    with database.connect() as conn:
        conn.execute("UPDATE nodes_import_job SET not_before = now()")


def long_ago(database: TestDatabase) -> None:
    """The grace time of every dispatch has passed."""
    with database.connect() as conn:
        conn.execute("UPDATE nodes_import_job SET dispatched_at = now() - interval '1 hour'")


def test_a_file_is_a_run_and_lists_share_one(
    queue: Queue, acme: Tenant, database: TestDatabase
) -> None:
    """The row knows its partition; the run's tags say what people look for."""
    file, *lists = acme.file(), acme.references(3), acme.references(4, "h")
    first, second = queue.tick()
    assert jobs_of([first, second]) == [[file], lists]
    assert job_row(database, file)["partition_key"] == first.partition_key
    assert first.run_key == f"{first.partition_key}:1"
    assert "," not in first.partition_key
    assert first.tags == {
        "node_import/domain": "acme",
        "node_import/group": "g",
        "node_import/topic": "acme-users",
        "node_import/kind": "file",
        "node_import/job_id": str(file),
        "node_import/jobs": "1",
    }
    assert second.tags["node_import/group"] == "g, h"


def test_what_is_in_flight_is_left_alone(queue: Queue, acme: Tenant) -> None:
    """Before its run is visible, while it is queued, while it runs, and when it is done."""
    acme.file()
    [made] = queue.tick(submit=False)
    assert queue.tick() == []
    queue.runs.submit(made)
    assert queue.tick() == []
    queue.run(made)
    assert queue.tick() == []


def test_at_most_so_many_runs(queue: Queue, acme: Tenant) -> None:
    """Runs that Dagster does not show yet count; the next goes when one has ended."""
    lists = [acme.references(5) for _ in range(6)]
    few = {"max_concurrent_runs": 3, "group_max_references": 5}
    made = queue.tick(submit=False, **few)
    assert jobs_of(made) == [[job] for job in lists[:3]]
    assert queue.tick(**few) == []
    queue.runs.submit(*made)
    assert queue.tick(**few) == []
    queue.run(made[1])
    assert jobs_of(queue.tick(**few)) == [[lists[3]]]


def test_tenants_take_turns(queue: Queue, acme: Tenant, bolt: Tenant) -> None:
    """One that has many jobs waiting does not keep the other waiting."""
    one_by_one = {"max_concurrent_runs": 1, "group_max_jobs": 1}
    many = [acme.references() for _ in range(4)]
    few = [bolt.references() for _ in range(2)]
    order = []
    for _ in range(6):
        [made] = queue.tick(**one_by_one)
        order += made.job_ids
        queue.run(made)
    assert order == [many[0], few[0], many[1], few[1], many[2], many[3]]


def test_files_of_a_group_go_one_at_a_time(queue: Queue, acme: Tenant) -> None:
    """In the order of their messages; another group's files go beside them."""
    first, second, other = acme.file(), acme.file(), acme.file("h")
    made = queue.tick()
    assert jobs_of(made) == [[first], [other]]
    queue.run(made[1])
    assert queue.tick() == []
    queue.run(made[0])
    assert jobs_of(queue.tick()) == [[second]]


def test_a_file_waits_for_the_one_before_it(
    queue: Queue, acme: Tenant, database: TestDatabase
) -> None:
    """Also while that rests after its run died."""
    first, second = acme.file(), acme.file()
    [made] = queue.tick()
    queue.runs.end(made.run_key)
    assert queue.tick() == []
    assert job_row(database, first)["died_runs"] == 1
    rest_is_over(database)
    [again] = queue.tick()
    assert again.job_ids == (first,)
    assert again.run_key == f"{made.partition_key}:2"
    queue.run(again)
    assert jobs_of(queue.tick()) == [[second]]


def test_a_file_waits_while_another_is_executed_again(
    queue: Queue, acme: Tenant, database: TestDatabase
) -> None:
    """A re-execution from the UI that has not claimed yet is seen by its partition."""
    failed, waiting = acme.file(), acme.file()
    put(database, failed, status="FAILED", partition_key="p")
    queue.runs.submit(Dispatch("p", "from-the-ui", ()))
    assert queue.tick() == []
    queue.runs.end("from-the-ui")
    assert jobs_of(queue.tick()) == [[waiting]]


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
    put(database, other, status="RUNNING", partition_key="q", dagster_run_id="from-the-ui")
    queue.runs.submit(Dispatch("q", "from-the-ui", ()))
    queue.runs.end(made.run_key)
    assert queue.tick(max_attempts=1) == []
    assert job_row(database, job)["status"] == "FAILED"


def test_files_wait_for_the_object_store(
    queue: Queue, acme: Tenant, database: TestDatabase
) -> None:
    """Where the last one failed because it was away, it is asked; lists go on, and so do files."""
    acme.file()
    [made] = queue.tick()
    queue.run(made, failure=(ErrorCode.OBJECT_STORE_UNAVAILABLE, "away"))
    waiting, names = acme.file(), acme.references()

    queue.files_can_be_read = False
    [lists] = queue.tick()
    assert lists.job_ids == (names,)
    assert queue.tick() == []
    assert queue.asked == 2

    queue.files_can_be_read = True
    [again] = queue.tick()
    assert again.job_ids == (waiting,)
    queue.run(again)
    acme.file()
    assert len(queue.tick()) == 1
    assert queue.asked == 3


def test_no_other_failure_asks_for_the_object_store(queue: Queue, acme: Tenant) -> None:
    """A file that is missing is no outage."""
    acme.file()
    [made] = queue.tick()
    queue.run(made, failure=(ErrorCode.FILE_NOT_FOUND, "not there"))
    acme.file()
    queue.files_can_be_read = False
    assert len(queue.tick()) == 1
    assert queue.asked == 0


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
    put(database, other, status="RUNNING", partition_key="q", dagster_run_id="from-the-ui")
    queue.runs.submit(Dispatch("q", "from-the-ui", ()))
    queue.run(made)
    assert queue.tick() == []
    put(database, other, status="COMPLETED")
    queue.runs.end("from-the-ui")
    assert jobs_of(queue.tick()) == [[job]]
    assert job_row(database, job)["died_runs"] == 0


def test_ticks_at_once_dispatch_nothing_twice(queue: Queue, acme: Tenant, bolt: Tenant) -> None:
    """Ticks overlap: every job is in one run."""
    jobs = [tenant.references(group=group) for tenant in (acme, bolt) for group in "ghgh"]
    jobs += [tenant.file(group) for tenant in (acme, bolt) for group in "gh"]
    with ThreadPoolExecutor(6) as pool:
        ticks = [pool.submit(queue.tick, submit=False, group_max_jobs=3) for _ in range(12)]
    made = [made for tick in ticks for made in tick.result()]
    dispatched = [job for run in made for job in run.job_ids]
    assert sorted(dispatched) == sorted(jobs)
    assert len({run.partition_key for run in made}) == len(made)


def test_a_claim_and_a_tick_at_once(queue: Queue, acme: Tenant, database: TestDatabase) -> None:
    """A job that is claimed while a tick looks at it is not handed over."""
    job = acme.file()
    put(database, job, partition_key="p")
    with database.connect() as conn, conn.transaction():
        conn.execute("UPDATE nodes_import_job SET status = 'RUNNING', dagster_run_id = 'x'")
        with ThreadPoolExecutor(1) as pool:
            ticking = pool.submit(queue.tick)
            while not rows(database, "SELECT FROM pg_locks WHERE NOT granted"):
                assert not ticking.done()
            conn.execute("COMMIT")
            assert ticking.result() == []
    assert job_row(database, job)["dispatch_no"] == 0
