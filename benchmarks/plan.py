"""What is measured, in which order: one round after the other, each with everything in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import floor, many, ours, peers
from benchmarks.data import DataFile, make_cities, make_empty, make_users
from benchmarks.definitions import EMPTY_JOB
from benchmarks.parse_only import parse_on_one_core
from benchmarks.results import Results
from benchmarks.running_stack import RunningStack, Tenant

FLOOR_CONNECTIONS = (1, 2, 3)
VARIANTS = ("plain", "quoted", "mixed", "dirty")
PARTS = ("floor", "imports", "peers", "parsing", "messages")
PEERS = {"dlt": peers.dlt_merge, "pgloader": peers.pgloader}


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything."""

    rounds: int
    users: int
    small_users: int
    executemany_users: int
    parse_users: int
    messages: int
    burst: int
    tenants: int = 5
    files_a_tenant: int = 2
    references: int = 10
    empty_runs: int = 5


FULL = Sizes(
    rounds=3,
    users=1_000_000,
    small_users=100_000,
    executemany_users=50_000,
    parse_users=1_000_000,
    messages=20_000,
    burst=1_000,
)
QUICK = Sizes(
    rounds=1,
    users=100_000,
    small_users=20_000,
    executemany_users=5_000,
    parse_users=100_000,
    messages=5_000,
    burst=100,
)


@dataclass
class Bench:
    """One run of the yardstick over one stack."""

    stack: RunningStack
    results: Results
    sizes: Sizes
    folder: Path
    tell: Callable[[str], None]
    _urls: dict[str, str] = field(default_factory=dict)
    _floor: floor.FloorFiles | None = None

    @property
    def data(self) -> Path:
        """Where the files are kept; they are the same in every run."""
        return self.folder / "data"

    def run(self, parts: Sequence[str] = PARTS) -> None:
        """All rounds, each with every part, so that a noisy minute hits all of them alike."""
        if not parts:
            return
        self.tell("making the data")
        tenant = self.stack.tenant("bench")
        self._floor = floor.make_floor_files(
            self.folder / "floor", self.sizes.users, tenant.domain_id, tenant.group_id
        )
        self.tell("one import that is not counted: caches, connections, the first run's imports")
        self.stack.empty_tables()
        ours.import_once(self.stack, tenant, self._url(self._users(self.sizes.small_users)))
        for number in range(self.sizes.rounds):
            self.tell(f"round {number + 1} of {self.sizes.rounds}")
            for part in PARTS:
                if part in parts:
                    self._measure(part, number, tenant)

    def _measure(self, part: str, number: int, tenant: Tenant) -> None:
        measures = {
            "floor": self._measure_floor,
            "imports": self._measure_imports,
            "peers": self._measure_peers,
            "parsing": self._measure_parsing,
            "messages": self._measure_messages,
        }
        try:
            measures[part](number, tenant)
        except Exception as error:  # noqa: BLE001 - the other parts go on; the report says it
            self.results.skip(f"{part}, round {number + 1}", f"failed: {error}")

    def _measure_floor(self, number: int, _tenant: Tenant) -> None:
        """In the first round over each number of connections, then over the best one."""
        measured = {
            n: figure.median
            for n in FLOOR_CONNECTIONS
            if (figure := self.results.figure(f"floor, {n} connections"))
        }
        best = [min(measured, key=measured.__getitem__)] if number and measured else []
        for connections in best or FLOOR_CONNECTIONS:
            name = f"floor, {connections} connections"
            self.results.measure(name, number, partial(self._floor_once, connections))

    def _floor_once(self, connections: int) -> dict[str, Any]:
        if self._floor is None:
            raise RuntimeError("the floor's files are not made")
        self.stack.empty_tables()
        with self.stack.meter() as meter:
            seconds = floor.copy_straight_in(self.stack.admin_dsn, self._floor, connections)
        first, last = meter.curves.looks[0].time, meter.curves.looks[-1].time
        return {
            "seconds": seconds,
            "server_cpu": meter.curves.cpu("postgres", first, last),
            "wal_bytes": meter.curves.wal(first, last),
            "wal_fsyncs": meter.curves.wal_fsyncs,
        }

    def _measure_imports(self, number: int, tenant: Tenant) -> None:
        users = self._users(self.sizes.users)
        changed = self._users(self.sizes.users, version=2)
        self.results.measure("fresh", number, lambda: self._fresh(tenant, users))
        self._make_sure_of(tenant, users)
        self.results.measure("identical", number, lambda: self._again(tenant, users))
        self.results.measure("changed", number, lambda: self._again(tenant, changed))
        small = self._users(self.sizes.small_users)
        self.results.measure("fresh, small", number, lambda: self._fresh(tenant, small))
        cities = make_cities(self.data)
        self.results.measure("cities", number, lambda: self._fresh(tenant, cities))

    def _measure_peers(self, number: int, tenant: Tenant) -> None:
        users = make_users(self.data, self.sizes.users, keep_plain=True)
        for name, load in PEERS.items():
            why = peers.missing(name)
            if why is not None:
                self.results.skip(name, why)
                continue
            self.results.measure(name, number, partial(load, self.stack, users))
        few = self._users(self.sizes.executemany_users)
        self.results.measure("executemany", number, lambda: self._executemany(tenant, few))

    def _executemany(self, tenant: Tenant, file: DataFile) -> dict[str, Any]:
        self.stack.empty_tables()
        return peers.executemany(self.stack, tenant, file)

    def _measure_parsing(self, number: int, _tenant: Tenant) -> None:
        for variant in VARIANTS:
            file = make_users(self.data, self.sizes.parse_users, variant=variant)
            name = f"parse, {variant}"
            self.results.measure(name, number, partial(parse_on_one_core, file))

    def _measure_messages(self, number: int, tenant: Tenant) -> None:
        sizes = self.sizes
        self.results.measure("intake", number, lambda: many.intake_rate(self.stack, sizes.messages))
        self.stack.empty_tables()
        self.results.measure(
            "burst", number, lambda: many.burst(self.stack, tenant, sizes.burst, sizes.references)
        )
        self.stack.empty_tables()
        tenants = [self.stack.tenant(f"tenant-{n}") for n in range(sizes.tenants)]
        rows = sizes.users // (sizes.tenants * sizes.files_a_tenant)
        self.results.measure(
            "tenants",
            number,
            lambda: many.tenants_at_once(
                self.stack, tenants, sizes.files_a_tenant, rows, self.data
            ),
        )
        for again in range(sizes.empty_runs):
            self._measure_empty_runs(number * sizes.empty_runs + again, tenant)

    def _measure_empty_runs(self, number: int, tenant: Tenant) -> None:
        """Either waits up to half a second for a look at the queue: so several of each."""
        empty = make_empty(self.data)
        self.results.measure("empty file", number, lambda: self._fresh(tenant, empty))
        self.results.measure(
            "empty job", number, lambda: {"seconds": ours.empty_job_run(self.stack, EMPTY_JOB)}
        )

    def _fresh(self, tenant: Tenant, file: DataFile) -> dict[str, Any]:
        self.stack.empty_tables()
        result = ours.import_once(self.stack, tenant, self._url(file))
        _expect(result, inserted=file.rows, total=file.rows + file.bad_rows)
        return result

    def _again(self, tenant: Tenant, file: DataFile) -> dict[str, Any]:
        """Into tables that hold version 1 of the same users."""
        before, start = ours.rows_written(self.stack), ours.wal_position(self.stack)
        result = ours.import_once(self.stack, tenant, self._url(file))
        wal = ours.wal_of_tables(self.stack, start, ours.wal_position(self.stack))
        after = ours.rows_written(self.stack)
        _expect(result, inserted=0, total=file.rows)
        written = {name: after[name] - before[name] for name in after}
        return {**result, "rows_written": written, "wal_of_tables": wal}

    def _make_sure_of(self, tenant: Tenant, file: DataFile) -> None:
        """If a resumed run passed over the fresh import, its rows are not there."""
        [(nodes,)] = self.stack.query("SELECT count(*) FROM nodes")
        if nodes != file.rows:
            self._fresh(tenant, file)

    def _users(self, count: int, *, version: int = 1) -> DataFile:
        return make_users(self.data, count, version=version)

    def _url(self, file: DataFile) -> str:
        if file.name not in self._urls:
            self._urls[file.name] = self.stack.upload(Path(file.path))
        return self._urls[file.name]


def _expect(result: dict[str, Any], **counts: int) -> None:
    wrong = {name: result[name] for name, count in counts.items() if result[name] != count}
    if wrong:
        raise RuntimeError(f"the import counted {wrong} and not {counts}")
