"""Random runs: requests, faults and their moments come from one seed, which repeats them.

What the operating system decides (who runs when) is not repeated; kills at marked points are.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from node_import_tests.faults.conductor import Conductor
from node_import_tests.faults.lane import Lane, open_lane
from node_import_tests.faults.mischief import (
    CODES_OF,
    Cancel,
    DeleteRun,
    Fault,
    Freeze,
    Kill,
    Lock,
    Moment,
    Outage,
)
from node_import_tests.faults.nursery import Nursery
from node_import_tests.faults.operating import finish
from node_import_tests.faults.points import POINTS, Point
from node_import_tests.faults.requests import REFUSED, Kind, Producer, Request
from node_import_tests.faults.world import EXPIRY, SHORT_EXPIRY, World, open_world

# Where folders of runs that went wrong are kept.
KEPT = Path("fault-runs")


@dataclass
class Plan:
    """All that a seed decides."""

    seed: int
    tenants: int
    waves: list[list[tuple[int, str, Kind, int]]]
    points: list[Point]
    faults: list[Fault]
    overlap: int
    monitors: bool
    replays: bool
    choose: random.Random = field(repr=False)

    @property
    def deadly(self) -> int:
        """How often a run may die of it."""
        kills = (Kill, Freeze, DeleteRun, Outage)
        return len(self.points) + sum(isinstance(fault, kills) for fault in self.faults)

    @property
    def expiry(self) -> float:
        """Short where somebody has to fall silent before it goes on."""
        freezes = any(isinstance(fault, Freeze) for fault in self.faults)
        return SHORT_EXPIRY if freezes or not self.monitors else EXPIRY

    @property
    def codes(self) -> frozenset[str]:
        """With which codes of the infrastructure a job may fail."""
        codes = frozenset().union(*(fault.codes for fault in self.faults))
        return codes | ({"RUN_DIED"} if self.deadly >= 3 else set())

    def __str__(self) -> str:
        faults = [f"{kind} killed at {point} ({nth})" for kind, point, nth in self.points]
        faults += map(str, self.faults)
        faults += ["two of each tick at once"] * (self.overlap > 1)
        faults += ["nobody watches workers"] * (not self.monitors)
        return "; ".join(faults) or "no fault"


def plan_of(seed: int) -> Plan:
    """What the seed stands for."""
    choose = random.Random(seed)
    tenants = choose.choice((1, 1, 2))
    waves = [_wave(choose, tenants) for _ in range(choose.choice((1, 1, 2)))]
    possible = [point for point in POINTS if point[0] != "command"]
    points = choose.sample(possible, choose.choice((0, 1, 1, 2)))
    faults = [_fault(choose) for _ in range(choose.choice((0, 1, 1, 2, 2, 3)))]
    return Plan(
        seed=seed,
        tenants=tenants,
        waves=waves,
        points=points,
        faults=faults,
        overlap=choose.choice((1, 1, 1, 2)),
        monitors=choose.random() < 0.7,
        replays=choose.random() < 0.6,
        choose=choose,
    )


def _wave(choose: random.Random, tenants: int) -> list[tuple[int, str, Kind, int]]:
    """(tenant, group, kind, rows) of messages that are sent at once."""
    kinds = [Kind.FILE] * 6 + [Kind.REFERENCES] * 3 + [Kind.MISSING_FILE, Kind.CORRUPT_FILE]
    kinds += list(REFUSED)
    wave = []
    for _ in range(choose.randint(1, 5)):
        kind = choose.choice(kinds)
        group = "lists" if kind is Kind.REFERENCES else choose.choice("ggh")
        wave.append((choose.randrange(tenants), group, kind, choose.choice((1, 20, 100, 250))))
    return wave


def _fault(choose: random.Random) -> Fault:
    kind = choose.choice(("run", "run", "request_sensor"))
    moment = Moment(kind, round(choose.uniform(0.0, 1.5), 2))
    make = choose.choices(
        (_kill, _outage, _cut, _freeze, _delete, _cancel, _lock), (5, 3, 5, 1, 1, 1, 2)
    )[0]
    return make(choose, moment)


def _kill(choose: random.Random, moment: Moment) -> Fault:
    return Kill(moment, kind=choose.choice(("run", "run", "request_sensor", "recovery_sensor")))


def _outage(choose: random.Random, moment: Moment) -> Fault:
    service = choose.choice(("PostgreSQL", "PostgreSQL", "PostgreSQL", "MinIO", "MinIO", "Kafka"))
    how = choose.choice(
        ("kill", "immediate stop", "stop") if service == "PostgreSQL" else ("kill",)
    )
    seconds = round(choose.uniform(0.0, 3.0), 1)
    return Outage(moment, CODES_OF[service], service=service, how=how, seconds=seconds)


def _cut(choose: random.Random, moment: Moment) -> Fault:
    service = choose.choice(("PostgreSQL", "MinIO", "Kafka"))
    how = choose.choice(("cut", "cut", "refusal", "silence"))
    seconds = 0.0 if how == "cut" else round(choose.uniform(0.2, 3.0), 1)
    return Outage(moment, CODES_OF[service], service=service, how=how, seconds=seconds)


def _freeze(_: random.Random, moment: Moment) -> Fault:
    # Until it counts as dead it keeps the locks of its slice, which others may wait for in vain.
    return Freeze(moment, frozenset({"TIMEOUT"}))


def _delete(_: random.Random, moment: Moment) -> Fault:
    return DeleteRun(moment)


def _cancel(_: random.Random, moment: Moment) -> Fault:
    return Cancel(moment, frozenset({"CANCELED"}))


def _lock(choose: random.Random, moment: Moment) -> Fault:
    return Lock(moment, frozenset({"TIMEOUT"}), seconds=round(choose.uniform(0.2, 4.0), 1))


def carry_out(plan: Plan, world: World) -> list[str]:
    """Send, break, wait, compare; then what an operator does, and compare again."""
    producer = Producer(plan.choose)
    for kind, point, nth in plan.points:
        world.arm(kind, point, nth)
    conductor = Conductor(
        world, monitors=plan.monitors, overlap=plan.overlap, mischief=list(plan.faults)
    )
    for number, wave in enumerate(plan.waves):
        world.send(*(_request(producer, world, *item) for item in wave))
        if number + 1 < len(plan.waves):
            until = time.monotonic() + plan.choose.uniform(0.5, 3.0)
            conductor.run_until(lambda until=until: time.monotonic() >= until)
    return finish(conductor, plan.codes, replays=plan.replays)


def _request(
    producer: Producer, world: World, tenant: int, group: str, kind: Kind, rows: int
) -> Request:
    domain = world.domains[tenant]
    if kind is Kind.REFERENCES:
        return producer.references(domain, group, count=min(rows, 40), bad=rows == 20)
    if kind in REFUSED:
        return producer.refused(domain, group, kind)
    bad = 0.04 if kind is Kind.FILE and rows == 100 else 0.0
    return producer.file(domain, group, rows=rows, kind=kind, bad=bad)


def first_seed(given: int | None) -> int:
    """The one that was given, or any."""
    return secrets.randbelow(1_000_000) * 1_000 if given is None else given


def work_off(seeds: Sequence[int], folder: Path) -> None:
    """All these runs, one after the other in one lane; exit code 1 if one of them went wrong."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    _keep_clients_quiet(folder)
    failed = 0
    todo = list(seeds)
    while todo:
        with ExitStack() as stack:
            lane = stack.enter_context(open_lane(folder / f"lane-{len(todo)}"))
            nursery = stack.enter_context(Nursery(folder / "zygote.log"))
            while todo:
                seed = todo.pop(0)
                if not run_one(seed, lane, nursery, folder / str(seed)):
                    failed += 1
                    break  # in a lane of its own, whatever was wrong with this one
    sys.exit(1 if failed else 0)


def run_one(seed: int, lane: Lane, nursery: Nursery, folder: Path) -> bool:
    """One run and its line; whether it went as it must."""
    began = time.monotonic()
    plan = plan_of(seed)
    wrong: list[str] = []
    killed = processes = 0
    try:
        lane.ensure_up()
        with open_world(
            lane, nursery, folder, tenants=plan.tenants, heartbeat_expiry=plan.expiry
        ) as world:
            try:
                wrong = carry_out(plan, world)
            finally:
                killed, processes = len(world.killed()), len(world.processes)
    except Exception:  # noqa: BLE001 - told, and counted as wrong
        wrong = [*wrong, traceback.format_exc()]
    outcome = "DIFFERENT" if wrong else "equal"
    messages = sum(map(len, plan.waves))
    seconds = time.monotonic() - began
    _say(
        f"seed {seed}: {outcome}, {messages} messages, {processes} processes, {killed} killed,"
        f" {seconds:.1f} s: {plan}"
    )
    for line in wrong:
        _say(f"  {line}")
    if wrong:
        kept = KEPT / str(seed)
        shutil.copytree(folder, kept, dirs_exist_ok=True)
        _say(f"  its processes' logs are in {kept}")
    shutil.rmtree(folder, ignore_errors=True)
    return not wrong


def _keep_clients_quiet(folder: Path) -> None:
    """What our own clients say of services that were killed goes into a file."""
    folder.mkdir(parents=True, exist_ok=True)
    log = os.open(folder / "clients.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 2)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - what a command says
