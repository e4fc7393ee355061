"""SIGKILL at every marked point: before and after each commit, each send, each put of an object."""

from __future__ import annotations

import pytest

from node_import_tests.faults.cases import CASES, what_is_wrong
from node_import_tests.faults.conftest import OpenWorld
from node_import_tests.faults.points import MOST_TIMES, POINTS, Point
from node_import_tests.faults.world import EXPIRY, SHORT_EXPIRY, World

# Of recovery's case silence is a part.
EXPIRIES = {"recovery_sensor": SHORT_EXPIRY}


def points_of(world: World, kind: str) -> set[Point]:
    """The points of that kind of process that were reached."""
    return {
        (kind, point, nth)
        for (of, point), times in world.reached().items()
        if of == kind and not point.startswith("signal ")
        for nth in range(1, min(times, MOST_TIMES) + 1)
    }


@pytest.mark.parametrize("kind", CASES)
def test_the_list_of_points_is_whole(new_world: OpenWorld, kind: str) -> None:
    """A clean run of each case ends as it must, and passes the points that are listed."""
    with new_world(heartbeat_expiry=EXPIRIES.get(kind, EXPIRY)) as world:
        CASES[kind](world)
        assert what_is_wrong(world, kind) == []
        passed = {point for _, point, _ in points_of(world, kind)}
        assert passed == {point for of, point, _ in POINTS if of == kind}


# Where a death is most likely to cost or to double something.
QUICK = {
    ("request_sensor", "intake.tick.Intake._settle: before commit", 1),
    ("request_sensor", "intake.tick.Intake._settle: after commit", 1),
    ("run", "loading.slice_transaction.SliceTransaction.load: after commit", 2),
    ("run", "jobs.closing.close: before commit", 1),
    ("run", "jobs.closing.close: after commit", 1),
    ("run", "publishing.status_publisher._Publisher._send_events: after send", 1),
    ("command", "replaying.replay.Replayer._send: after send", 1),
}


def _cases() -> list[object]:
    return [pytest.param(*point, marks=[pytest.mark.quick] * (point in QUICK)) for point in POINTS]


def test_the_quick_points_are_points() -> None:
    """None of them has been renamed."""
    assert set(POINTS) >= QUICK


@pytest.mark.parametrize(("kind", "point", "nth"), _cases())
def test_a_kill_at(new_world: OpenWorld, kind: str, point: str, nth: int) -> None:
    """One process dies there; the others bring everything to its end, once."""
    with new_world(heartbeat_expiry=EXPIRIES.get(kind, EXPIRY)) as world:
        world.arm(kind, point, nth)
        CASES[kind](world)
        assert kind in {process.kind for process in world.killed()}, "the point was not reached"
        assert what_is_wrong(world, kind) == []
