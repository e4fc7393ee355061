"""Which references of a job were imported and which failed, read from what is staged."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, groupby
from typing import BinaryIO

import polars as pl

from node_import.staging.area import StagingArea
from node_import.staging.manifest import Manifest
from node_import.staging.segments import read_references

# Of a job's references so many parts are read one after the other, each from every segment: a
# large file has hundreds of segments.
MOST_RUNS = 64

# What JSON does not let stand in a string as it is (RFC 8259, section 7).
_ESCAPED = bytes(range(0x20)) + b'"\\'
_BETWEEN = '", "'


@dataclass(frozen=True, slots=True)
class References:
    """The references of one job; `loaded` are the slices that the ledger has.

    `has_duplicates` says whether, as the ledger counts, a loaded slice has a reference twice.
    Both lists are distinct: a reference is in one slice, and one that has a good row among the
    imported does not count as failed for the sake of a bad one.
    """

    area: StagingArea
    manifest: Manifest
    loaded: frozenset[int]
    has_duplicates: bool = True

    def succeeded(self) -> Iterator[str]:
        """References with an imported row: by slices, within one in file order."""
        return chain.from_iterable(self._succeeded_parts())

    def failed(self) -> Iterator[str]:
        """References of rejected rows in file order, then those of slices not loaded."""
        return chain.from_iterable(self._failed_parts())

    def write(self, file: BinaryIO) -> None:
        """Both lists whole, as one JSON object, in bounded memory."""
        file.write(b'{"successList":[')
        _write_entries(file, self._succeeded_parts())
        file.write(b'],"failedList":[')
        _write_entries(file, self._failed_parts())
        file.write(b"]}\n")

    def _succeeded_parts(self) -> Iterator[pl.Series]:
        staged = (self._staged(slices) for slices in self._runs(loaded=True))
        return map(_distinct, staged) if self.has_duplicates else staged

    def _failed_parts(self) -> Iterator[pl.Series]:
        rejected = self._rejected()
        if not rejected.is_empty():
            for good in self._succeeded_parts():
                rejected = rejected.filter(~rejected.is_in(good.implode()))
            yield rejected
        for slices in self._runs(loaded=False):
            names = _distinct(self._staged(slices))
            yield names.filter(~names.is_in(rejected.implode()))

    def _runs(self, *, loaded: bool) -> Iterator[list[int]]:
        """Neighbouring slices that have rows: in few pieces, none of which is large."""
        width = max(1, self.manifest.plan.slices // MOST_RUNS)
        rows = sorted(self.manifest.rows_by_slice())
        filled = (slice_no for slice_no in rows if (slice_no in self.loaded) is loaded)
        return (list(run) for _, run in groupby(filled, lambda slice_no: slice_no // width))

    def _staged(self, slices: Collection[int]) -> pl.Series:
        return read_references(self.area, self.manifest.segments, slices)

    def _rejected(self) -> pl.Series:
        name = self.manifest.rejected_references
        if name is None:
            return pl.Series([], dtype=pl.String)
        with self.area.open(name) as file:
            return pl.Series([json.loads(line) for line in file], dtype=pl.String)


def _write_entries(file: BinaryIO, parts: Iterable[pl.Series]) -> None:
    """The entries of all parts with commas between, a part at a time."""
    separator = b""
    for part in parts:
        if not part.is_empty():
            file.write(separator + _as_json(part))
            separator = b","


def _distinct(references: pl.Series) -> pl.Series:
    return references.unique(maintain_order=True)


def _as_json(entries: pl.Series) -> bytes:
    """The inside of a JSON array. References that need no escapes, nearly all, are only joined."""
    joined: bytes = entries.str.join(_BETWEEN).item().encode()
    escaped = len(joined) - len(joined.translate(None, _ESCAPED))
    if escaped > _BETWEEN.count('"') * (entries.len() - 1):
        return json.dumps(entries.to_list(), ensure_ascii=False)[1:-1].encode()
    return b'"%b"' % joined
