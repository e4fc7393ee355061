"""Dispatch: the job table is the queue, and who goes when."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from node_import.contracts.error_codes import ErrorCode
from node_import.jobs.dispatch import Dispatch
from node_import_tests.integration.jobs.queue import Queue, jobs_of, rest_is_over
from node_import_tests.support.databases import TestDatabase
from node_import_tests.support.tenants import Tenant, job_row, put, rows


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
