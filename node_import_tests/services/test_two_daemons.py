"""Two daemons, by mistake, on one instance of Dagster, each with a code location of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import pytest

from node_import.orchestration.dagster_runs import LIVE_STATUSES
from node_import.stack.environment import settings_environment
from node_import_tests.services.cluster import as_url
from node_import_tests.services.daemons import Installation
from node_import_tests.services.topics import Topics, wait_until
from node_import_tests.support.databases import DatabaseFactory
from node_import_tests.support.intake_desk import Desk
from node_import_tests.support.kafka_messages import produce, read_topic
from node_import_tests.support.tenants import rows

PARTITIONS = 2
WAVES = 3
LISTS = 35  # in each wave and partition
PATIENCE = 600.0  # seconds

pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def instance_url(
    database_factory: DatabaseFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """A database for Dagster's storage."""
    with database_factory.database() as storage:
        url = as_url(storage.admin_dsn)
        monkeypatch.setenv("DAGSTER_POSTGRES_URL", url)
        yield url


@pytest.fixture
def both(desk: Desk, instance_url: str, tmp_path: Path) -> Iterator[list[Installation]]:
    """Two installations that tick; they know the same services and the same storage."""
    own = desk.settings.model_copy(update={"group_max_jobs": 40, "max_concurrent_runs": 4})
    variables = {**settings_environment(own), "DAGSTER_POSTGRES_URL": instance_url}
    with ExitStack() as stack:
        made = [Installation(tmp_path / name, variables) for name in ("first", "second")]
        for one in made:
            stack.callback(one.kill)
            one.start()
        for one in made:
            one.wait_until_it_ticks()
        yield made


@pytest.fixture
def instance(both: list[Installation]) -> Iterator[dg.DagsterInstance]:
    """The instance that both work on."""
    with dg.DagsterInstance.from_config(str(both[0].dagster_home)) as made:
        yield made


def failed_ticks(instance: dg.DagsterInstance) -> list[object]:
    """Errors of the sensors' ticks, whoever evaluated them."""
    states = instance.all_instigator_state()
    assert {state.instigator_name for state in states} == {"request_sensor", "recovery_sensor"}
    return [
        tick.error
        for state in states
        for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id)
        if tick.error is not None
    ]


def send_wave(desk: Desk, wave: int) -> None:
    """Lists into every partition; each has a reference of its own and one that all have."""
    for partition in range(PARTITIONS):
        first = (wave * PARTITIONS + partition) * LISTS
        values = [
            desk.request(
                number, referenceIds=[f"ref-{number}", "everywhere"], groupId="gh"[number % 2]
            )
            for number in range(first, first + LISTS)
        ]
        produce(desk.settings, desk.topic, values, partition=partition)


def wait_until_all_is_done(desk: Desk, instance: dg.DagsterInstance, jobs: int) -> None:
    """No job waits any more, and no run can act; what is left over is shown otherwise."""
    live = dg.RunsFilter(statuses=list(LIVE_STATUSES))

    def done() -> bool:
        ended = [s for (s,) in desk.jobs("status") if s in {"COMPLETED", "FAILED"}]
        return len(ended) == jobs and not instance.get_runs(live)

    try:
        wait_until(done, PATIENCE)
    except AssertionError:
        states = Counter(desk.jobs("status, attempt, dispatch_no, failure_code"))
        runs = Counter(run.status for run in instance.get_runs())
        pytest.fail(f"{states}\n{runs}\n{failed_ticks(instance)}")


def test_every_message_is_imported_once(
    desk: Desk, topics: Topics, both: list[Installation], instance: dg.DagsterInstance
) -> None:
    """One job a message, one attempt, one status message; no tick fails and no run is red.

    Dagster lets both daemons tick; the lock of the intake and that of the dispatch decide.
    """
    topics.create(desk.topic, partitions=PARTITIONS)
    topics.create(desk.settings.status_topic)
    jobs = WAVES * PARTITIONS * LISTS
    for wave in range(WAVES):
        send_wave(desk, wave)
        sent = (wave + 1) * PARTITIONS * LISTS
        wait_until(lambda sent=sent: sum(desk.positions().values()) == sent, PATIENCE)  # type: ignore[misc]

    wait_until_all_is_done(desk, instance, jobs)

    states = Counter(desk.jobs("status, attempt"))
    assert states == {("COMPLETED", 1): jobs}
    answers = Counter(
        message.key for message in read_topic(desk.settings, desk.settings.status_topic)
    )
    assert len(answers) == jobs
    assert set(answers.values()) == {1}
    [(nodes,)] = rows(desk.database, "SELECT count(*) FROM nodes")
    assert nodes == jobs + 2  # "everywhere" is in both groups
    assert {run.status for run in instance.get_runs()} == {dg.DagsterRunStatus.SUCCESS}
    assert failed_ticks(instance) == []
