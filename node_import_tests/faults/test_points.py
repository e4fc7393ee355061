"""SIGKILL at every marked point: before and after each commit, each send, each put of an object."""

from __future__ import annotations

import pytest

from node_import_tests.faults.cases import CASES, what_is_wrong
from node_import_tests.faults.conftest import OpenWorld
from node_import_tests.faults.points import MOST_TIMES, POINTS, Point
from node_import_tests.faults.world import World


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
    with new_world() as world:
        CASES[kind](world)
        assert what_is_wrong(world, kind) == []
        assert points_of(world, kind) == {point for point in POINTS if point[0] == kind}


@pytest.mark.parametrize(("kind", "point", "nth"), POINTS)
def test_a_kill_at(new_world: OpenWorld, kind: str, point: str, nth: int) -> None:
    """One process dies there; the others bring everything to its end, once."""
    with new_world() as world:
        world.arm(kind, point, nth)
        CASES[kind](world)
        assert kind in {process.kind for process in world.killed()}, "the point was not reached"
        assert what_is_wrong(world, kind) == []
