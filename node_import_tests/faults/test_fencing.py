"""Runs that lost their claim, and runs that meet: one works, the others change nothing."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

import pytest

from node_import.orchestration.dagster_runs import RUN_KEY_TAG
from node_import_tests.faults.cases import IN_THE_MIDDLE
from node_import_tests.faults.comparing import Expectation, differences
from node_import_tests.faults.conductor import Conductor
from node_import_tests.faults.conftest import OpenWorld
from node_import_tests.faults.loads import send_file, send_load
from node_import_tests.faults.nursery import Process
from node_import_tests.faults.operating import finish
from node_import_tests.faults.roles import create_run
from node_import_tests.faults.test_outages import locked_nodes
from node_import_tests.faults.world import SHORT_EXPIRY, World

BEFORE_SLICE_COMMITS = "loading.slice_transaction.SliceTransaction.load: before commit"
AFTER_CLAIM = "jobs.claiming.claim_partition: after commit"
BEFORE_CLOSING = "pipeline.close_job._Closing.close: after commit"
# The first is a look, or leaves nothing behind.
SECOND = {AFTER_CLAIM: 2, IN_THE_MIDDLE: 2, BEFORE_SLICE_COMMITS: 2}

# xmin tells of every write, also of one that changes nothing.
EVERYTHING = (
    "SELECT xmin::text, * FROM nodes ORDER BY id",
    "SELECT xmin::text, * FROM node_metadata ORDER BY node_id, metadata_key",
    "SELECT xmin::text, * FROM nodes_import_job ORDER BY id",
    "SELECT xmin::text, * FROM import_ledger ORDER BY job_id, slice_no",
    "SELECT xmin::text, * FROM job_status_event ORDER BY id",
    "SELECT xmin::text, * FROM job_dead_letter ORDER BY id",
)


@pytest.fixture
def impatient(new_world: OpenWorld) -> Iterator[World]:
    """A deployment in which a silent run counts as dead soon."""
    with new_world(heartbeat_expiry=SHORT_EXPIRY) as world:
        yield world


def everything(world: World) -> list[list[tuple[Any, ...]]]:
    """All rows that an import writes."""
    with world.database.connect() as conn:
        return [conn.execute(query).fetchall() for query in EVERYTHING]


def standing(world: World) -> list[Process]:
    """The processes that have stopped at their point."""
    stopped = f"signal {int(signal.SIGSTOP)}"
    return [process for process in world.processes if stopped in process.reached()]


def frozen_run(world: World, conductor: Conductor, point: str) -> Process:
    """The run that stands still at that point, and that nobody but its heartbeat misses."""
    world.arm("run", point, SECOND.get(point, 1), signal.SIGSTOP)
    conductor.run_until(lambda: bool(standing(world)))
    return standing(world)[0]


def is_told(world: World) -> bool:
    """The only job has ended, and its answer is on the topic."""
    with world.database.connect() as conn:
        [(status,)] = conn.execute("SELECT status FROM nodes_import_job").fetchall()
        unsent = conn.execute("SELECT FROM job_status_event WHERE published_at IS NULL").fetchall()
    return status in {"COMPLETED", "FAILED"} and not unsent


@pytest.mark.parametrize(
    "point",
    [AFTER_CLAIM, pytest.param(IN_THE_MIDDLE, marks=pytest.mark.quick), BEFORE_CLOSING],
)
def test_a_run_that_stood_still_too_long_changes_nothing(impatient: World, point: str) -> None:
    """Its job goes to another run; when it wakes up it finds that out before it writes."""
    world = impatient
    send_file(world, rows=400)
    conductor = Conductor(world)
    sleeper = frozen_run(world, conductor, point)
    conductor.run_until(lambda: is_told(world))
    before = everything(world)
    sleeper.send(signal.SIGCONT)
    sleeper.wait()
    assert everything(world) == before
    assert finish(conductor) == []


def test_a_run_that_stands_still_in_a_transaction_holds_up_only_its_own_job(
    impatient: World,
) -> None:
    """It holds locks on its job; the job of another run that died is looked after all the same."""
    world = impatient
    send_file(world, rows=400)
    conductor = Conductor(world, monitors=False)
    sleeper = frozen_run(world, conductor, BEFORE_SLICE_COMMITS)
    world.arm("run", IN_THE_MIDDLE)
    send_file(world, rows=300, seed=9, group="h")
    conductor.run_until(lambda: _statuses(world)[-1] == "COMPLETED")
    sleeper.send(signal.SIGCONT)
    assert finish(conductor, frozenset({"RUN_DIED"})) == []


def _statuses(world: World) -> list[str]:
    with world.database.connect() as conn:
        query = "SELECT status FROM nodes_import_job ORDER BY sequence_no"
        return [status for (status,) in conn.execute(query)]


def test_two_runs_that_counted_as_dead_and_are_not(impatient: World) -> None:
    """They wake up together; neither takes the job from the other, nor from the one that lives."""
    world = impatient
    send_file(world, rows=400)
    for _ in range(2):
        world.arm("run", IN_THE_MIDDLE, 2, signal.SIGSTOP)
    conductor = Conductor(world)
    conductor.run_until(lambda: len(standing(world)) == 2)
    with locked_nodes(world):
        conductor.run_until(lambda: _has_had_attempts(world, 3))
        for process in standing(world):
            process.send(signal.SIGCONT)
            process.wait()
    assert finish(conductor, frozenset({"TIMEOUT", "DATABASE_UNAVAILABLE", "RUN_DIED"})) == []
    with world.database.connect() as conn:
        [(attempts,)] = conn.execute("SELECT attempt FROM nodes_import_job").fetchall()
    assert attempts <= 5


def _has_had_attempts(world: World, number: int) -> bool:
    with world.database.connect() as conn:
        rows = conn.execute("SELECT attempt, status FROM nodes_import_job").fetchall()
    return any(attempt >= number or status == "FAILED" for attempt, status in rows)


def test_two_runs_of_one_partition(world: World) -> None:
    """As a re-execution in the UI while the first is alive: one imports, the other says why not."""
    send_file(world, rows=600)
    conductor = Conductor(world)
    conductor.run_until(lambda: bool(conductor.live_runs()))
    [run] = world.instance.get_runs()
    create_run(world.instance, {**run.tags, RUN_KEY_TAG: "again"})
    assert finish(conductor) == []
    assert len(world.instance.get_runs()) == 2


@pytest.mark.quick
def test_two_of_every_tick_at_once(world: World) -> None:
    """As with two daemons, or ticks that overlap: nothing is done twice."""
    send_load(world)
    conductor = Conductor(world, overlap=2)
    conductor.run_until_quiet()
    assert differences(world, Expectation()) == []
    with world.database.connect() as conn:
        [(dispatched, jobs)] = conn.execute(
            "SELECT sum(dispatch_no), count(*) FROM nodes_import_job"
        ).fetchall()
    assert dispatched == jobs
