"""Services that die under load, and networks that break: what was asked for is done afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from node_import_tests.faults.conductor import Conductor
from node_import_tests.faults.loads import send_file, send_load
from node_import_tests.faults.mischief import CODES_OF, Moment, Outage
from node_import_tests.faults.operating import failed_jobs, finish
from node_import_tests.faults.requests import Kind, Producer
from node_import_tests.faults.world import World

UNDER_LOAD = Moment("run", 0.8)


def outage(service: str, how: str, seconds: float, moment: Moment = UNDER_LOAD) -> Outage:
    """One fault, with what it may do to a job."""
    return Outage(moment, CODES_OF[service], service=service, how=how, seconds=seconds)


@pytest.mark.parametrize(
    ("how", "seconds"),
    [
        pytest.param("immediate stop", 0.5, marks=pytest.mark.quick),
        pytest.param("kill", 1.0, marks=pytest.mark.quick),
        ("kill", 6.0),
        ("stop", 1.0),
        ("cut", 0.0),
        ("refusal", 4.0),
        ("silence", 8.0),
    ],
)
def test_postgresql_ends_under_load(world: World, how: str, seconds: float) -> None:
    """Job table, ledger and nodes say the same afterwards; Dagster's tables were away as well."""
    send_load(world)
    fault = outage("PostgreSQL", how, seconds)
    assert finish(Conductor(world, mischief=[fault]), fault.codes) == []


@pytest.mark.parametrize(
    ("how", "seconds"), [("kill", 1.0), ("cut", 0.0), ("refusal", 5.0), ("silence", 6.0)]
)
def test_kafka_ends_while_answers_are_sent(world: World, how: str, seconds: float) -> None:
    """No job fails for it; what could not be sent is sent later, once and in order."""
    send_load(world)
    fault = outage("Kafka", how, seconds)
    assert finish(Conductor(world, mischief=[fault])) == []


@pytest.mark.parametrize("how", ["kill", "silence", "refusal"])
def test_kafka_ends_in_the_middle_of_reading(world: World, how: str) -> None:
    """A thousand messages, half of them no requests: each is a job or a dead letter."""
    producer = Producer(5)
    [domain] = world.domains
    some = [producer.references(domain, "lists", count=1) for _ in range(4)]
    world.send(*some, *(producer.refused(domain, "g", Kind.NO_JSON) for _ in range(1_000)))
    fault = outage("Kafka", how, 2.0, Moment("request_sensor", 0.25))
    assert finish(Conductor(world, mischief=[fault])) == []


@pytest.mark.parametrize(
    ("how", "seconds"),
    [("kill", 1.0), ("refusal", 3.0), ("silence", 5.0)],
)
def test_the_object_store_ends_in_the_middle_of_a_file(
    world: World, how: str, seconds: float
) -> None:
    """The download goes on where it stopped, or the job fails as an outage and is replayed."""
    send_file(world, rows=20_000)
    send_load(world)
    world.lane.minio.proxy.slow_down(400_000)
    fault = outage("MinIO", how, seconds, Moment("run", 1.5))
    assert finish(Conductor(world, mischief=[fault]), fault.codes) == []


def test_a_download_that_is_cut_again_and_again_goes_on(world: World) -> None:
    """By range from where it stopped: the first attempt completes."""
    producer = Producer(4)
    request = producer.file(world.domains[0], "g", rows=20_000, compressed=False)
    assert request.file is not None
    world.send(request)
    # A reset takes with it what has come and was not read yet, so it comes slowly.
    world.lane.minio.proxy.slow_down(2_000_000)
    world.lane.minio.proxy.cut_after(len(request.file) // 2)
    assert finish(Conductor(world)) == []
    with world.database.connect() as conn:
        assert conn.execute("SELECT status, attempt FROM nodes_import_job").fetchall() == [
            ("COMPLETED", 1)
        ]


def test_connections_to_the_database_that_break_all_the_time(world: World) -> None:
    """Every second for ten seconds, whoever uses them."""
    send_load(world)
    faults = [outage("PostgreSQL", "cut", 0.0, Moment("run", 0.3 + n)) for n in range(10)]
    assert finish(Conductor(world, mischief=[*faults]), CODES_OF["PostgreSQL"]) == []


@contextmanager
def locked_nodes(world: World) -> Iterator[threading.Event]:
    """Somebody else holds a lock on `nodes` until the event is set, or the block ends."""
    release = threading.Event()
    locked = threading.Event()

    def hold() -> None:
        with world.database.connect() as conn, conn.transaction():
            conn.execute("LOCK TABLE nodes IN EXCLUSIVE MODE")
            locked.set()
            release.wait(180)

    thread = threading.Thread(target=hold)
    thread.start()
    assert locked.wait(30)
    try:
        yield release
    finally:
        release.set()
        thread.join()


def test_a_lock_on_nodes_that_is_never_given_up(world: World) -> None:
    """The job fails with a clear word and never hangs; when the lock is gone a replay loads it."""
    send_file(world, rows=60)
    conductor = Conductor(world)
    with locked_nodes(world):
        conductor.run_until_quiet()
        [code] = failed_jobs(world).values()
    assert code in {"TIMEOUT", "DATABASE_UNAVAILABLE"}
    assert finish(conductor, frozenset({code})) == []


def test_a_lock_on_nodes_that_is_given_up_is_a_retry(world: World) -> None:
    """A wait that is longer than the time limit of one statement costs tries, not the job."""
    send_file(world, rows=60)
    conductor = Conductor(world)
    with locked_nodes(world) as release:
        conductor.run_until(lambda: _waits_were_given_up(world))
        release.set()
        assert finish(conductor, replays=False) == []


def _waits_were_given_up(world: World) -> bool:
    """A step asks for another try."""
    events = (
        entry.dagster_event
        for run in world.instance.get_runs()
        for entry in world.instance.all_logs(run.run_id)
    )
    return any(event.event_type_value == "STEP_UP_FOR_RETRY" for event in events if event)
