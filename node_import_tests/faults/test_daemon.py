"""Dagster's own daemon and code location, killed in the middle of what they do."""

from __future__ import annotations

import time

import pytest

from node_import_tests.faults.comparing import differences
from node_import_tests.faults.conductor import Conductor
from node_import_tests.faults.conftest import OpenWorld
from node_import_tests.faults.installation import Installation, installed
from node_import_tests.faults.requests import Kind, Producer
from node_import_tests.faults.test_outages import locked_nodes
from node_import_tests.faults.world import World

PATIENCE = 420.0  # the importer hands a lost dispatch over again after two minutes
# Processes of a real installation come up slowly where much else is going on.
SLOW = {"heartbeat_seconds": 1.0, "heartbeat_expiry": 15.0, "lock_timeout": 60.0}


def send_some(world: World) -> None:
    """Two files of one group, one of another, a list, a missing file, and no request."""
    producer = Producer(11)
    [domain] = world.domains
    world.send(
        producer.file(domain, "g", rows=200),
        producer.file(domain, "g", rows=100, bad=0.05),
        producer.file(domain, "h", rows=50, kind=Kind.MISSING_FILE),
        producer.references(domain, "lists", count=10),
        producer.refused(domain, "g", Kind.NO_JSON),
    )


def wait_for(world: World, query: str, installation: Installation) -> None:
    """Until the query, over Dagster's or the importer's tables, finds something."""
    deadline = time.monotonic() + PATIENCE
    while not _finds(world, query):
        assert time.monotonic() < deadline, installation.log()
        time.sleep(0.01)


def _finds(world: World, query: str) -> bool:
    database = world.storage if "job_ticks" in query else world.database
    with database.connect() as conn:
        return conn.execute(query).fetchone() is not None


def wait_until_quiet(world: World, installation: Installation) -> None:
    """Nothing is left to read, to import, to tell."""
    conductor = Conductor(world)
    deadline = time.monotonic() + PATIENCE
    while not conductor.is_done():
        assert time.monotonic() < deadline, conductor.describe() + installation.log()
        time.sleep(0.3)


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("name", ["daemon", "location"])
def test_killed_in_the_middle_of_ticks(new_world: OpenWorld, name: str) -> None:
    """Three times, each a little deeper into a tick; started again, all is done once."""
    with new_world(**SLOW) as world, installed(world) as installation:
        send_some(world)
        for delay in (0.1, 0.4, 0.8):
            newest = "SELECT FROM (SELECT status FROM job_ticks ORDER BY id DESC LIMIT 1) AS tick"
            wait_for(world, f"{newest} WHERE status = 'STARTED'", installation)
            time.sleep(delay)
            installation.kill(name, with_runs=False)
            installation.start(name)
        wait_until_quiet(world, installation)
        assert differences(world) == []


@pytest.mark.timeout(1_200)
def test_location_and_run_die_together_with_the_queue_full(new_world: OpenWorld) -> None:
    """Dagster shows the run as started for ever; its place is freed, and all that waited runs."""
    with (
        new_world(**SLOW, max_concurrent_runs=1) as world,
        installed(world, max_concurrent_runs=1) as installation,
    ):
        with locked_nodes(world):
            send_some(world)
            wait_for(
                world,
                "SELECT FROM pg_stat_activity WHERE datname = current_database()"
                " AND wait_event_type = 'Lock' AND application_name LIKE 'node-import%'",
                installation,
            )
            installation.kill("location")
        installation.start("location")
        wait_until_quiet(world, installation)
        assert differences(world) == []
        with world.database.connect() as conn:
            attempts = conn.execute("SELECT max(attempt), max(died_runs) FROM nodes_import_job")
            assert attempts.fetchall() == [(2, 1)]
