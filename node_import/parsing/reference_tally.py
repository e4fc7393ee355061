"""How many different references a file has, counted exactly and in bounded memory."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import polars as pl

from node_import.sizes import MIB
from node_import.staging.area import LocalStagingArea
from node_import.staging.plan import Plan
from node_import.staging.segments import SegmentWriter, read_references

HELD_BYTES = 64 * MIB

# 100 GiB of references, the most that a file may hold, are 400 MiB a part.
_PARTS = Plan(slices=256, batches=1)


class ReferenceTally:
    """Counts distinct references: in memory, or past 64 MiB part by part from a temporary folder.

    A context manager: leaving it removes the folder.
    """

    def __init__(self, held_bytes: int = HELD_BYTES) -> None:
        self._most_held = held_bytes
        self._held: list[pl.DataFrame] = []
        self._held_bytes = 0
        self._open = ExitStack()
        self._area: LocalStagingArea | None = None
        self._writer: SegmentWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def add(self, rows: pl.DataFrame) -> None:
        """Count the references of a block's rows."""
        rows = rows.select("line", "reference_id", "type")
        if self._writer is not None:
            self._writer.add(rows)
            return
        self._held.append(rows)
        self._held_bytes += int(rows.estimated_size())
        if self._held_bytes > self._most_held:
            self._spill()

    def distinct(self) -> int:
        """How many different references there were; no more can be added."""
        if self._writer is None or self._area is None:
            return pl.concat(self._held)["reference_id"].n_unique() if self._held else 0
        segments = self._writer.close()
        area = self._area
        return sum(
            read_references(area, segments, [part]).n_unique() for part in range(_PARTS.slices)
        )

    def _spill(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="node-import-check-")
        self._area = LocalStagingArea(Path(self._open.enter_context(folder)))
        # Left before the folder is: a thread of it writes there.
        self._writer = self._open.enter_context(SegmentWriter(self._area, _PARTS, ()))
        for rows in self._held:
            self._writer.add(rows)
        self._held = []
