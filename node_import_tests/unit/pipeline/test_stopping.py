"""How long an interrupted load may go on."""

from __future__ import annotations

import logging

import pytest

from node_import.pipeline.stopping import Patience
from node_import.pipeline.workshop import Run


class Clock:
    """Stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Dagster:
    """Knows whether the run is canceled, and counts who asks."""

    def __init__(self) -> None:
        self.canceled = False
        self.asked = 0

    def __call__(self) -> bool:
        self.asked += 1
        return self.canceled


@pytest.fixture
def dagster() -> Dagster:
    return Dagster()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def patience(dagster: Dagster, clock: Clock) -> Patience:
    run = Run("run", "key", lambda _: True, is_being_canceled=dagster)
    return Patience(run, 20.0, clock=clock)


def test_a_worker_that_is_told_to_stop_has_time(
    patience: Patience, caplog: pytest.LogCaptureFixture
) -> None:
    """The whole grace, and a line in the run's log, once."""
    with caplog.at_level(logging.WARNING):
        assert [patience(), patience()] == [20.0, 20.0]
    [record] = caplog.records
    assert "told to stop" in record.getMessage()
    assert "20 s" in record.getMessage()


def test_a_canceled_run_has_none(
    patience: Patience, dagster: Dagster, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even while Dagster would say otherwise later."""
    dagster.canceled = True
    with caplog.at_level(logging.WARNING):
        assert patience() == 0.0
    dagster.canceled = False
    assert patience() == 0.0
    assert "rolled back" in caplog.text


def test_a_cancel_may_come_later(patience: Patience, dagster: Dagster, clock: Clock) -> None:
    """Dagster is asked once a second, however often the load looks."""
    assert [patience() for _ in range(10)] == [20.0] * 10
    assert dagster.asked == 1
    dagster.canceled = True
    clock.now += 1.0
    assert patience() == 0.0
    assert dagster.asked == 2
