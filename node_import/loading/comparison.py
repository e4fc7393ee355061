"""Which rows of a batch are stored as they are, found out before its slices are loaded.

To look for a node by its key costs the server some 4.5 µs, a slice holds references from all over
the index; to read the nodes between two references, in the order of the index, costs 0.8 µs each.
So where the batch holds at least every fourth node between its own references - an export of
everything, imported again - all of them are read, range by range, and compared here.

What is found is a saving and no more: rows that are not known to be stored are looked for when
their slice is loaded. A row that is stored as it is counts as unchanged from this moment on, as if
its slice had been loaded now; whoever changes the node afterwards came later.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import polars as pl
import psycopg

from node_import.database.connections import tenant_transaction
from node_import.errors import TransientError
from node_import.loading.forecast import Forecast
from node_import.loading.session import SessionPool
from node_import.loading.slice_rows import last_of_each_reference
from node_import.loading.slice_transaction import LoadTarget, limit_time
from node_import.sizes import MIB
from node_import.sql import statements
from node_import.staging.area import StagingArea
from node_import.staging.manifest import Manifest
from node_import.staging.segments import read_keys

# So many stored nodes to a row of the batch are worth reading: one look costs as much as five.
WORTH_READING = 4
# Fewer rows are looked for at once.
LEAST_ROWS = 20_000
# The keys of a batch are held together, two million rows, and each slice's once more while they
# are sorted. Of a text polars counts the length alone, though each has 16 bytes more.
MOST_BYTES = 160 * MIB
ROW_BYTES = 48
# The nodes between so many neighbours of one slice tell how many there are to a row.
PROBE_ROWS = 64
# What is compared at a time.
RANGE_ROWS = 65_536
RANGE_BYTES = 4 * MIB

_STORED_COLUMNS = {
    "stored_hash": pl.Int64,
    "stored_type": pl.String,
    "reference_id": pl.String,
}


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KnownSlice:
    """What the comparison found of one slice; of a slice that was not compared nothing is known.

    `unchanged` has the references whose rows are stored as they are; `is_all` says that these are
    all references of the slice, `rest_is_new` that no other one is stored.
    """

    unchanged: pl.Series = field(default_factory=lambda: pl.Series("reference_id", [], pl.String))
    is_all: bool = False
    rest_is_new: bool = False


class Comparison:
    """Of the slices of one job; several threads compare, and what they found is read afterwards."""

    def __init__(
        self,
        sessions: SessionPool,
        target: LoadTarget,
        manifest: Manifest,
        area: StagingArea,
        forecast: Forecast,
        is_halted: Callable[[], bool],
    ) -> None:
        self._sessions = sessions
        self._target = target
        self._manifest = manifest
        self._area = area
        self._forecast = forecast
        self._is_halted = is_halted
        self._lock = threading.Lock()
        self._references: dict[int, int] = {}
        self._unchanged: dict[int, list[pl.Series]] = {}
        self._others: set[int] = set()
        self._has_failed = False

    def ranges(self, slices: Sequence[int]) -> list[pl.DataFrame]:
        """The keys of these slices in ranges of references to compare; none if it is not worth it.

        Raises:
            StagedRowsLost: staged rows are gone.
        """
        rows = self._manifest.rows_by_slice()
        total = sum(rows[number] for number in slices)
        if not slices or total < LEAST_ROWS:
            return []
        sample = self._keys(slices[:1])[slices[0]]
        row_bytes = max(1, int(sample.estimated_size()) // sample.height)
        if total * (ROW_BYTES + row_bytes) > MOST_BYTES:
            return []
        if not self._is_worth_it(sample, len(slices)):
            return []
        keys = self._keys(slices)
        self._references = {number: part.height for number, part in keys.items()}
        wanted = -(-total // max(1, min(RANGE_ROWS, RANGE_BYTES // row_bytes)))
        return _cut(keys.values(), _borders(sample["reference_id"], wanted))

    def compare(self, keys: pl.DataFrame) -> None:
        """Read what is stored between the first and the last of `keys`, and compare."""
        stored = None if self._is_halted() else self._read_between(keys)
        if stored is None:
            self._note(keys.clear(), set(keys["slice_no"].unique()))
            return
        both = keys.join(stored, on="reference_id", how="inner")
        is_same = pl.col("type") == pl.col("stored_type")
        if self._target.tables:
            is_same &= pl.col("content_hash").eq_missing(pl.col("stored_hash"))
        self._note(both.filter(is_same), set(both.filter(~is_same)["slice_no"].unique()))
        if both.height:
            self._forecast.learn(all_new=False)

    def of(self, slice_no: int) -> KnownSlice:
        """What is known of a slice."""
        references = self._references.get(slice_no)
        if references is None:
            return KnownSlice()
        parts = self._unchanged.get(slice_no)
        unchanged = pl.concat(parts) if parts else KnownSlice().unchanged
        return KnownSlice(
            unchanged,
            is_all=unchanged.len() == references,
            rest_is_new=slice_no not in self._others,
        )

    def _note(self, unchanged: pl.DataFrame, others: set[int]) -> None:
        with self._lock:
            self._others |= others
            for (slice_no,), part in unchanged.partition_by("slice_no", as_dict=True).items():
                self._unchanged.setdefault(slice_no, []).append(part["reference_id"])

    def _is_worth_it(self, keys: pl.DataFrame, slices: int) -> bool:
        """Slices are cut by hash: between neighbours of one there is one of each other."""
        start = max(0, (keys.height - PROBE_ROWS) // 2)
        probed = keys.slice(start, PROBE_ROWS)
        most = WORTH_READING * slices * probed.height
        row = self._ask("count_between", probed, most + 1)
        if row is None:
            return False
        stored: int = row["stored"]
        if stored == 0:
            self._forecast.learn(all_new=True)
        return 0 < stored <= most

    def _keys(self, slices: Sequence[int]) -> dict[int, pl.DataFrame]:
        """`reference_id`, `type`, `content_hash`, `slice_no`, each slice sorted by reference."""
        keys = read_keys(self._area, self._manifest.segments, slices)
        for number, part in keys.items():  # in their places, so that none is there twice
            keys[number] = last_of_each_reference(part).with_columns(
                slice_no=pl.lit(number, pl.Int32)
            )
        return keys

    def _read_between(self, keys: pl.DataFrame) -> pl.DataFrame | None:
        """What is stored; None if it is not known, or not worth reading."""
        most = WORTH_READING * keys.height
        row = self._ask("read_between", keys, most + 1)
        if row is None or row["stored"] > most:
            return None
        return pl.read_csv(
            (row["nodes"] or "").encode(),
            has_header=False,
            schema=_STORED_COLUMNS,
            raise_if_empty=False,
        )

    def _ask(self, name: str, keys: pl.DataFrame, most: int) -> dict[str, Any] | None:
        """The answer about the nodes between these keys; None if the database gives none.

        Then nobody asks again, and the slices will meet the trouble, and tell it.
        """
        if self._has_failed:
            return None
        limits = self._sessions.limits(most, 0)
        parameters = {
            "group_id": self._target.group_id,
            "domain_id": self._target.claim.domain_id,
            "first": keys["reference_id"].min(),
            "last": keys["reference_id"].max(),
            "most": most,
        }
        try:
            session = self._sessions.borrow()
        except TransientError as error:
            self._give_up(error)
            return None
        conn = session.conn
        try:
            with (
                session.limited(limits.slice),
                tenant_transaction(conn, self._target.claim.domain_id),
            ):
                limit_time(conn, limits, self._target.claim)
                conn.execute(statements("loading.sql")["read_by_index"])
                return conn.execute(statements("loading.sql")[name], parameters).fetchone()
        except psycopg.Error as error:
            self._give_up(error)
            return None
        finally:
            self._sessions.give_back(session, keep=not self._is_halted())

    def _give_up(self, error: Exception) -> None:
        first, self._has_failed = not self._has_failed, True
        if first and not self._is_halted():  # halted: it was cancelled on purpose
            log.warning("what is stored could not be compared, nodes are looked for: %s", error)


def _borders(sorted_references: pl.Series, ranges: int) -> pl.Series:
    """References that cut those of all slices into about equal ranges.

    Slices are cut by hash, so in one of them references lie as in all.
    """
    height = sorted_references.len()
    places = sorted({height * number // ranges for number in range(1, ranges)})
    return sorted_references.gather(places)


def _cut(slices: Iterable[pl.DataFrame], borders: pl.Series) -> list[pl.DataFrame]:
    """Rows of sorted slices in ranges; within one a slice comes after the other.

    Sorting all rows would take longer than everything else in a comparison.
    """
    ranges: list[list[pl.DataFrame]] = [[] for _ in range(borders.len() + 1)]
    for keys in slices:
        places = [0, *keys["reference_id"].search_sorted(borders).to_list(), keys.height]
        for parts, (start, end) in zip(ranges, pairwise(places), strict=True):
            parts.append(keys.slice(start, end - start))
    return [keys for parts in ranges if (keys := pl.concat(parts)).height]
