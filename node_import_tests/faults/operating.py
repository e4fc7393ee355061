"""The end of a case: all is quiet, and compared; then what an operator does, and once more."""

from __future__ import annotations

from node_import_tests.faults.comparing import INFRASTRUCTURE, Expectation, differences
from node_import_tests.faults.conductor import Conductor
from node_import_tests.faults.observed import Place
from node_import_tests.faults.requests import Kind
from node_import_tests.faults.world import World


def finish(
    conductor: Conductor, codes: frozenset[str] = frozenset(), *, replays: bool = True
) -> list[str]:
    """Wait until quiet and compare; `codes` are those with which faults may have failed a job.

    Then missing files are put where they belong (but for those that a newer file has outdated),
    what failed is replayed, and all is compared once more: now no fault excuses anything.
    """
    world = conductor.world
    conductor.run_until_quiet()
    world.lane.ensure_up()
    expectation = Expectation(codes=codes)
    wrong = differences(world, expectation)
    if wrong or not replays:
        return wrong
    replay_what_failed(conductor, expectation)
    return [f"after the replay: {line}" for line in differences(world, expectation)]


def replay_what_failed(conductor: Conductor, expectation: Expectation) -> None:
    """`node-import dlq replay` of all that may go better now; `expectation` learns of it."""
    world = conductor.world
    world.triggers.clear()
    failed = failed_jobs(world)
    superseded = _superseded(world, failed)
    for place, request in [*world.sent.items()]:
        if request.kind is Kind.MISSING_FILE and place not in superseded:
            world.mend(request)
    codes = {"FILE_NOT_FOUND", *INFRASTRUCTURE}
    if any(code in codes for code in failed.values()):
        options = [word for code in sorted(codes) for word in ("--code", code)]
        process = world.start("command", arguments=["dlq", "replay", *options])
        assert process.wait() == 0, process.tail()
        conductor.run_until_quiet()
    expectation.codes = frozenset()
    for place, code in failed.items():
        if code not in codes:
            continue
        if place in superseded:
            expectation.left_failed[place] = code
        else:
            expectation.ends[place] = 2
            expectation.reopened.add(place)


def failed_jobs(world: World) -> dict[Place, str]:
    """The code of each job that is FAILED now."""
    with world.database.connect() as conn:
        rows = conn.execute(
            "SELECT message_topic, message_offset, failure_code FROM nodes_import_job"
            " WHERE status = 'FAILED'"
        ).fetchall()
    return {(topic, offset): code for topic, offset, code in rows}


def _superseded(world: World, failed: dict[Place, str]) -> set[Place]:
    """Failed files after which another file of their group was COMPLETED: nothing replays them."""
    newest: dict[tuple[str, str], int] = {}
    for (topic, offset), request in world.sent.items():
        if request.is_file and (topic, offset) not in failed:
            key = (topic, request.group)
            newest[key] = max(newest.get(key, -1), offset)
    return {
        (topic, offset)
        for topic, offset in failed
        if (request := world.sent[topic, offset]).is_file
        and offset < newest.get((topic, request.group), -1)
    }
