"""The cases in which kills at marked points are tried: small, with every commit and send."""

from __future__ import annotations

from node_import_tests.faults.comparing import Expectation, differences
from node_import_tests.faults.conductor import Conductor
from node_import_tests.faults.requests import Kind, Producer, Request
from node_import_tests.faults.world import World

# A run that dies there has loaded some slices of its file.
IN_THE_MIDDLE = "loading.slice_transaction.SliceTransaction.load: after commit"
# And one that dies there has left its answer in the outbox.
BEFORE_THE_ANSWER = "jobs.closing.close: after commit"


def send_everything(world: World, seed: int = 1) -> Request:
    """A file with bad rows, a missing file, a list, and what is no request; the missing file."""
    producer = Producer(seed)
    [domain] = world.domains
    missing = producer.file(domain, "h", rows=40, kind=Kind.MISSING_FILE)
    world.send(
        producer.file(domain, "g", rows=180, bad=0.05),
        missing,
        producer.references(domain, "lists", count=10),
        producer.refused(domain, "g", Kind.NO_JSON),
    )
    return missing


def intake_and_runs(world: World) -> None:
    """All of it comes in and is imported."""
    send_everything(world)
    Conductor(world, recovers=False).run_until_quiet()


def recovery(world: World) -> None:
    """Two runs die, one in the middle and one before it answers, and nobody tells but the beat."""
    send_everything(world)
    world.arm("run", IN_THE_MIDDLE)
    world.arm("run", BEFORE_THE_ANSWER)
    Conductor(world, monitors=False, recovers=False).run_until_quiet()


def replay(world: World) -> None:
    """The missing file is put where it was missed, and its letter replayed until it is gone."""
    missing = send_everything(world)
    conductor = Conductor(world)
    conductor.run_until_quiet()
    world.mend(missing)
    while True:
        process = world.start("command", arguments=["dlq", "replay", "--code", "FILE_NOT_FOUND"])
        if process.wait() == 0:
            break
    conductor.run_until_quiet()


CASES = {
    "request_sensor": intake_and_runs,
    "run": intake_and_runs,
    "recovery_sensor": recovery,
    "command": replay,
}
"""Which case shows what a process of that kind does."""


def what_is_wrong(world: World, kind: str) -> list[str]:
    """After the case of that kind: the differences."""
    expectation = Expectation()
    if kind == "command":
        [place] = [place for place, request in world.sent.items() if request.group == "h"]
        expectation.ends[place] = 2
    return differences(world, expectation)
