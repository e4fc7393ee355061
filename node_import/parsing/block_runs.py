"""The runs of one block: whole stretches of records that polars can read."""

from __future__ import annotations

import re
from collections.abc import Iterator

from node_import.parsing.plain_lines import LineShape, PlainLines
from node_import.parsing.record_runs import (
    Runs,
    run_patterns,
    stand_in_for_quotes,
    with_stand_ins,
)


class BlockRuns:
    """Collects runs in ascending order.

    `lines` are whole physical lines with a NUL for every byte that is not UTF-8; a record may
    have `limit` bytes without its line end.
    """

    def __init__(self, shape: LineShape, lines: bytes, limit: int) -> None:
        self._lines = lines
        self._limit = limit
        self._delimiter = shape.delimiter
        self._plain_lines = PlainLines(shape, lines, limit)
        self._patterns = run_patterns(
            shape.columns,
            shape.delimiter,
            has_nul=b"\0" in lines,
            one_record=self._plain_lines.is_sparse,
        )
        self._plain = Runs(quoted=False)
        self._quoted = Runs(quoted=True)
        self._mixed = Runs(quoted=True)

    def __iter__(self) -> Iterator[Runs]:
        """The runs taken, by kind; kinds without any are left out."""
        return (runs for runs in (self._plain, self._quoted, self._mixed) if runs.pieces)

    def take(self, position: int, line: int) -> tuple[int, int]:
        """Take the run of plain or quoted records that begins at `position`, on line `line`.

        Returns its end, and its number of physical lines; `position` and 0 if there is no run.
        """
        if position >= len(self._lines):
            return position, 0
        end, lines = self._plain_lines.run_from(position)
        if lines:
            self._plain.add(memoryview(self._lines)[position:end], line, lines)
            return end, lines
        end = self._pattern_end(self._patterns.quoted, position)
        if end > position:
            return self._add(self._quoted, position, end, line)
        return position, 0

    def take_mixed(self, position: int, line: int) -> tuple[int, int]:
        """The same for a run of records that mix quoted values with quotes that are text.

        Only for a position where a record with right quotes begins: the pattern has no memory,
        and a hostile file would make it read the same bytes again from every line.
        """
        if position >= len(self._lines):
            return position, 0
        end = self._pattern_end(self._patterns.mixed, position)
        if end > position and self._has_stand_in():
            return self._add(self._mixed, position, end, line)
        return position, 0

    def _pattern_end(self, pattern: re.Pattern[bytes], position: int) -> int:
        """The end of the run; within the window no record is too long."""
        window = min(len(self._lines), position + self._limit + 1)
        match = pattern.match(self._lines, position, window)
        return position if match is None else match.end()

    def _has_stand_in(self) -> bool:
        if not self._mixed.stand_in:
            self._mixed.stand_in = stand_in_for_quotes(self._lines)
        return bool(self._mixed.stand_in)

    def _add(self, runs: Runs, start: int, end: int, line: int) -> tuple[int, int]:
        piece: bytes | memoryview = memoryview(self._lines)[start:end]
        if runs.stand_in:
            piece = with_stand_ins(bytes(piece), self._delimiter, runs.stand_in)
        lines = self._lines.count(b"\n", start, end)
        runs.add(piece, line, lines)
        return end, lines
