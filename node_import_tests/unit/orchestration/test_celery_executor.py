"""Who beats for a run of Celery's, and how a step that nobody answers for ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pytest
from celery import states
from celery.exceptions import TaskRevokedError

from node_import.orchestration import celery_executor
from node_import.orchestration.celery_executor import RunWatch, StepLost
from node_import.settings import Settings


@dataclass
class FakeResult:
    """A task as its AsyncResult shows it."""

    state: str = states.PENDING
    revoked: list[dict[str, Any]] = field(default_factory=list)

    def ready(self) -> bool:
        """Whether it ended."""
        return self.state in states.READY_STATES

    def get(self) -> list[str]:
        """Its events."""
        return ["event"]

    def revoke(self, **options: Any) -> None:
        """Remember that."""
        self.revoked.append(options)


@pytest.fixture
def beats(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs that the process of the run beat for."""
    beaten: list[str] = []
    monkeypatch.setattr(celery_executor, "beat_once", lambda _, run_id: beaten.append(run_id))
    return beaten


@pytest.fixture
def instance() -> Any:
    """An instance of this test's own."""
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def run(instance: dg.DagsterInstance) -> dg.DagsterRun:
    """A run that has begun."""

    @dg.job
    def nothing() -> None: ...

    return instance.create_run_for_job(nothing, status=dg.DagsterRunStatus.STARTED)


@pytest.fixture
def watch(instance: dg.DagsterInstance, run: dg.DagsterRun) -> RunWatch:
    """Over that run; it looks as often as it is asked."""
    settings = Settings(
        postgres_dsn="postgresql://nobody@localhost/none",
        kafka_bootstrap_servers="localhost:1",
        heartbeat_seconds=1e-9,
    )
    return RunWatch(instance, run.run_id, settings)


def test_the_run_beats_while_all_its_steps_wait(
    watch: RunWatch, run: dg.DagsterRun, beats: list[str]
) -> None:
    """And leaves it to the worker as soon as one is being worked at."""
    results = [FakeResult(), FakeResult()]
    steps = [watch.over(result) for result in results]
    assert not any(step.ready() for step in steps)
    assert set(beats) == {run.run_id}
    beats.clear()
    results[1].state = states.STARTED
    assert not any(step.ready() for step in steps)
    assert beats == []
    results[1].state = states.SUCCESS
    assert [step.ready() for step in steps] == [False, True]
    assert beats
    assert steps[1].get() == ["event"]


def test_a_step_nobody_answers_for_ends_with_its_run(
    watch: RunWatch, run: dg.DagsterRun, instance: dg.DagsterInstance, beats: list[str]
) -> None:
    """Recovery has told Dagster; until then the step is waited for."""
    result = FakeResult(states.STARTED)
    step = watch.over(result)
    assert not step.ready()
    instance.report_run_failed(run, "silent")
    assert step.ready()
    with pytest.raises(StepLost):
        step.get()
    assert result.revoked
    assert beats == []


def test_an_answer_counts_though_the_run_is_over(
    watch: RunWatch, run: dg.DagsterRun, instance: dg.DagsterInstance, beats: list[str]
) -> None:
    """What a worker has done is in the log of the run."""
    instance.report_run_failed(run, "silent")
    assert watch.over(FakeResult(states.SUCCESS)).get() == ["event"]


@pytest.mark.parametrize(
    ("state", "patience", "ends"),
    [(states.PENDING, 30.0, True), (states.STARTED, 30.0, False), (states.STARTED, 0.0, True)],
    ids=["waits", "is worked at", "worker says nothing"],
)
def test_a_canceled_step(
    watch: RunWatch,
    beats: list[str],
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    patience: float,
    ends: bool,
) -> None:
    """One that waits is over at once; of one that is worked at its worker has a while to say so."""
    monkeypatch.setattr(celery_executor, "REVOKE_SECONDS", patience)
    result = FakeResult(state)
    step = watch.over(result)
    step.revoke()
    assert result.revoked == [{"terminate": True}]
    assert step.ready() is ends
    if ends:
        with pytest.raises(TaskRevokedError):
            step.get()
