"""The long measurements of `make bench BIG=1`: 10 M rows, a 5 GB gz, a table that holds 10 M."""

from __future__ import annotations

import base64
import os
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import floor, ours
from benchmarks.data import DataFile, make_users
from benchmarks.results import Results
from benchmarks.running_stack import RunningStack, Tenant

GZ_BYTES = 5_000_000_000
NOTE_BYTES = 1_500  # random bytes a row, 2,000 characters of base64
MEMBER_ROWS = 4_000
SEED = 20_261_124


@dataclass(frozen=True, slots=True)
class BigSizes:
    """How much of everything."""

    users: int = 10_000_000
    added: int = 100_000
    gz_bytes: int = GZ_BYTES
    rounds: int = 3


QUICK_BIG = BigSizes(users=300_000, added=20_000, gz_bytes=50_000_000, rounds=1)


@dataclass(frozen=True, slots=True)
class BigBench:
    """On the same stack as the others, after them."""

    stack: RunningStack
    results: Results
    sizes: BigSizes
    folder: Path
    tell: Callable[[str], None]

    def run(self) -> None:
        """The table first: the import that fills it is the one of 10 M rows."""
        tenant = self.stack.tenant("big")
        self._into_empty_tables(tenant)
        self.results.measure("fresh, big", 0, lambda: self._fill(tenant))
        self._into_full_tables(tenant)
        self.results.measure("gz of 5 GB", 0, lambda: self._large_gz(tenant))

    def _into_empty_tables(self, tenant: Tenant) -> None:
        for number in range(self.sizes.rounds):
            self.stack.empty_tables()
            self.results.measure("into empty", number, partial(self._add, tenant, number))

    def _into_full_tables(self, tenant: Tenant) -> None:
        wanted = self.sizes.rounds
        if self.results.has("into full", wanted):
            return
        [(nodes,)] = self.stack.query("SELECT count(*) FROM nodes")
        if nodes < self.sizes.users:
            self._fill_fast(tenant)
        for number in range(wanted):
            self.results.measure("into full", number, partial(self._add, tenant, number))

    def _add(self, tenant: Tenant, number: int) -> dict[str, Any]:
        """Users that nobody has imported before, scattered among the others by their references."""
        start = self.sizes.users + number * self.sizes.added
        file = make_users(self.folder / "data", self.sizes.added, start=start)
        return ours.import_once(self.stack, tenant, self.stack.upload(Path(file.path)))

    def _fill(self, tenant: Tenant) -> dict[str, Any]:
        self.tell(f"making {self.sizes.users:,} users")
        file = make_users(self.folder / "data", self.sizes.users)
        self.stack.empty_tables()
        return ours.import_once(self.stack, tenant, self.stack.upload(Path(file.path)))

    def _fill_fast(self, tenant: Tenant) -> None:
        """A resumed run whose stack is new: by the way of the floor."""
        self.tell("filling the tables")
        self.stack.empty_tables()
        files = floor.make_floor_files(
            self.folder / "floor-big", self.sizes.users, tenant.domain_id, tenant.group_id
        )
        floor.copy_straight_in(self.stack.admin_dsn, files, 2)

    def _large_gz(self, tenant: Tenant) -> dict[str, Any]:
        self.tell(f"making a gz of {self.sizes.gz_bytes:,} bytes")
        file = make_large_gz(self.folder / "data" / "large.csv.gz", self.sizes.gz_bytes)
        self.stack.empty_tables()
        url = self.stack.upload(Path(file.path))
        result = ours.import_once(self.stack, tenant, url)
        self.stack.empty_tables()
        return {**result, "gz_bytes": self.sizes.gz_bytes, "csv_bytes": file.csv_bytes}


def make_large_gz(path: Path, wanted: int) -> DataFile:
    """A gzip of many members, of users with a long note that hardly compresses.

    Random bytes in base64 compress to three quarters: no long run of anything, as in a real file
    of texts or tokens, and so much for the parser and the tables to carry.
    """
    source = random.Random(SEED)
    path.parent.mkdir(parents=True, exist_ok=True)
    written = csv_bytes = rows = 0
    with path.open("wb") as file:
        while written < wanted:
            lines = [_large_line(source, rows + at) for at in range(MEMBER_ROWS)]
            header = b"reference_id,note,token,city\n" if rows == 0 else b""
            text = header + b"".join(lines)
            packer = zlib.compressobj(1, zlib.DEFLATED, 31)
            written += file.write(packer.compress(text) + packer.flush())
            rows += MEMBER_ROWS
            csv_bytes += len(text)
    os.sync()
    return DataFile(path.name, str(path), rows, 0, csv_bytes)


def _large_line(source: random.Random, number: int) -> bytes:
    note = base64.b64encode(source.randbytes(NOTE_BYTES))
    token = source.randbytes(16).hex().encode()
    return b"large-%010d,%b,%b,city %d\n" % (number, note, token, number % 997)
