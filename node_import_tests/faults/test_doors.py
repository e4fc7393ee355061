"""What people do to a run in Dagster while it loads: cancel it, delete it."""

from __future__ import annotations

import signal
from typing import Any

import dagster as dg
import pytest

from node_import_tests.faults.conductor import Conductor
from node_import_tests.faults.conftest import OpenWorld
from node_import_tests.faults.loads import send_file
from node_import_tests.faults.operating import failed_jobs, finish
from node_import_tests.faults.test_outages import locked_nodes
from node_import_tests.faults.world import World

# The lock of these tests holds a run in the middle of its load; it must not run into a time limit.
LONG = {"lock_timeout": 120.0, "statement_timeout": 120.0}
WAITING = (
    "SELECT FROM pg_stat_activity WHERE datname = current_database()"
    " AND wait_event_type = 'Lock' AND application_name LIKE 'node-import%'"
)


def is_in_the_middle(world: World) -> bool:
    """A slice waits for the lock."""
    with world.database.connect() as conn:
        return conn.execute(WAITING).fetchone() is not None


def ledger(world: World) -> list[tuple[Any, ...]]:
    """The slices that are loaded."""
    with world.database.connect() as conn:
        return conn.execute("SELECT * FROM import_ledger ORDER BY slice_no").fetchall()


@pytest.mark.quick
def test_a_run_that_is_canceled_in_the_middle(new_world: OpenWorld) -> None:
    """It ends while the lock is still held, its job is CANCELED, and no slice commits after it."""
    with new_world(**LONG) as world:
        send_file(world, rows=500)
        conductor = Conductor(world)
        with locked_nodes(world):
            conductor.run_until(lambda: is_in_the_middle(world))
            [(run_id, process)] = conductor.runs.items()
            run = world.instance.get_run_by_id(run_id)
            assert run is not None
            world.instance.report_run_canceling(run)
            process.send(signal.SIGTERM)
            conductor.run_until(lambda: [*failed_jobs(world).values()] == ["CANCELED"])
            loaded = ledger(world)
        conductor.run_until_quiet()
        assert ledger(world) == loaded
        ended = world.instance.get_run_by_id(run_id)
        assert ended is not None
        assert ended.status is dg.DagsterRunStatus.CANCELED
        assert finish(conductor, frozenset({"CANCELED"})) == []


@pytest.mark.parametrize("dies", [False, True])
def test_a_run_that_is_deleted_in_the_middle(new_world: OpenWorld, *, dies: bool) -> None:
    """It works on as long as it beats; if it dies too, another run takes its job over."""
    with new_world(**LONG) as world:
        send_file(world, rows=500)
        conductor = Conductor(world)
        with locked_nodes(world):
            conductor.run_until(lambda: is_in_the_middle(world))
            [(run_id, process)] = conductor.runs.items()
            world.instance.delete_run(run_id)
            if dies:
                process.send(signal.SIGKILL)
        assert finish(conductor) == []
