"""Which references of a job were imported and which failed, read from what is staged."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import polars as pl

from node_import.staging.area import StagingArea
from node_import.staging.manifest import Manifest
from node_import.staging.segments import read_references


@dataclass(frozen=True, slots=True)
class References:
    """The references of one job; `loaded` are the slices that the ledger has.

    Both lists are distinct: a reference is in one slice, and one that has a good row among the
    imported does not count as failed for the sake of a bad one.
    """

    area: StagingArea
    manifest: Manifest
    loaded: frozenset[int]

    def succeeded(self) -> Iterator[str]:
        """References with an imported row: by slice, within a slice in file order."""
        for slice_no in self._filled(loaded=True):
            yield from self._distinct(slice_no)

    def failed(self) -> Iterator[str]:
        """References of rejected rows in file order, then those of slices not loaded."""
        rejected = self._rejected()
        if not rejected.is_empty():
            for slice_no in self._filled(loaded=True):
                rejected = rejected.filter(~rejected.is_in(self._distinct(slice_no).implode()))
            yield from rejected
        seen = set(rejected)
        for slice_no in self._filled(loaded=False):
            yield from (name for name in self._distinct(slice_no) if name not in seen)

    def write(self, file: BinaryIO) -> None:
        """Both lists whole, as one JSON object, in bounded memory."""
        file.write(b'{"successList":[')
        _write_entries(file, self.succeeded())
        file.write(b'],"failedList":[')
        _write_entries(file, self.failed())
        file.write(b"]}\n")

    def _filled(self, *, loaded: bool) -> Iterator[int]:
        rows = self.manifest.rows_by_slice()
        return (slice_no for slice_no in sorted(rows) if (slice_no in self.loaded) is loaded)

    def _distinct(self, slice_no: int) -> pl.Series:
        return read_references(self.area, self.manifest.segments, slice_no).unique(
            maintain_order=True
        )

    def _rejected(self) -> pl.Series:
        name = self.manifest.rejected_references
        if name is None:
            return pl.Series([], dtype=pl.String)
        with self.area.open(name) as file:
            return pl.Series([json.loads(line) for line in file], dtype=pl.String)


def _write_entries(file: BinaryIO, entries: Iterable[str]) -> None:
    separator = b""
    for entry in entries:
        file.write(separator + json.dumps(entry, ensure_ascii=False).encode())
        separator = b","
