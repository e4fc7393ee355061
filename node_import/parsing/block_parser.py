"""Blocks of bytes into rows and rejects: the fast way where possible, the careful way elsewhere."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field

import polars as pl

from node_import.parsing.block import Block
from node_import.parsing.block_runs import BlockRuns
from node_import.parsing.header import Header
from node_import.parsing.long_record import LongRecord
from node_import.parsing.plain_lines import LineShape, behind_lines
from node_import.parsing.record_judge import RecordJudge, Row
from node_import.parsing.record_scanner import Kind, RecordScanner
from node_import.parsing.record_table import LINE, RecordTable, row_schema
from node_import.parsing.reject import Reject
from node_import.parsing.rules import ParseRules
from node_import.sizes import MIB

# A bad record up to this size is one reject, a longer one comes in fragments.
HELD_BYTES = 4 * MIB

# At most so much at once: 8 MiB of the shortest lines could be 4,000,000 rejects of 0.5 KB each,
# and of the shortest fields as many cells of 16 bytes, which polars holds two or three times.
MOST_LINES = 200_000
MOST_CELLS = 2_000_000

_EMPTY_LINES = re.compile(rb"(?:\r?\n)*+")


@dataclass(slots=True)
class _Found:
    """What has been found so far in one call of `parse`."""

    runs: BlockRuns | None = None
    rows: list[Row] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    fragment: bytes = b""

    def add(self, judged: Row | Reject) -> None:
        if isinstance(judged, Reject):
            self.rejects.append(judged)
        else:
            self.rows.append(judged)


class BlockParser:
    """Parses a file's records, piece by piece; knows on which physical line it is."""

    def __init__(self, header: Header, rules: ParseRules, first_line: int) -> None:
        self._limit = rules.max_record_bytes
        self._held_bytes = max(HELD_BYTES, self._limit + 2)
        self._delimiter = header.delimiter.encode()
        self._shape = LineShape(len(header.columns), self._delimiter)
        self._most_lines = min(MOST_LINES, max(MOST_CELLS // len(header.columns), 1))
        self._table = RecordTable(header, rules)
        self._judge = RecordJudge(header, rules)
        self._schema = row_schema(len(header.metadata_keys))
        self._line = first_line
        self._long: LongRecord | None = None

    def parse(self, data: bytes, *, last: bool) -> tuple[Block, int]:
        """The records of `data` that are whole, and how many bytes they take.

        `data` begins where the last call stopped; `last` says that the file ends with it. Nothing
        is taken only where more of the file is needed to go on; 4 MiB, or the record limit and
        two bytes if that is more, are always enough.
        """
        found = _Found()
        if self._long is not None:
            taken = self._go_on_with(self._long, found, data, last=last)
        else:
            taken = self._parse_records(found, data, last=last)
        return self._block(found), taken

    def _parse_records(self, found: _Found, data: bytes, *, last: bool) -> int:
        lines = _with_nul_for_invalid(_whole_lines(data, self._most_lines))
        found.runs = runs = BlockRuns(self._shape, lines, self._limit)
        scanner = RecordScanner(data, self._delimiter, self._limit, last=last)
        more_lines = data.find(b"\n", len(lines)) >= 0
        stop = len(lines) if more_lines else len(data)
        position = 0
        while position < stop:
            before = position
            position, count = runs.take(position, self._line)
            self._line += count
            if position == before:
                position = self._take_one(found, runs, scanner, data, position)
            if position == before:
                break
        return position

    def _take_one(
        self, found: _Found, runs: BlockRuns, scanner: RecordScanner, data: bytes, start: int
    ) -> int:
        """Take empty lines, or one record with care; nothing if more of the file is needed."""
        skipped = _EMPTY_LINES.match(data, start).end()  # type: ignore[union-attr]  # always matches
        if skipped > start:
            self._line += data.count(b"\n", start, skipped)
            return skipped
        extent = scanner.scan(start)
        if extent is None:
            return start
        if extent.end is None:
            return self._begin_long(found, extent.kind, data, start)
        record = data[start : extent.end]
        if extent.kind is not Kind.RECORD:
            found.add(self._judge.bad_record(self._line, record, extent.kind))
        else:
            end, lines = runs.take_mixed(start, self._line) if b'"' in record else (start, 0)
            if lines:
                self._line += lines
                return end
            content = data[start : extent.content_end]
            found.add(self._judge.row_or_reject(self._line, record, content))
        self._line += record.count(b"\n")
        return extent.end

    def _begin_long(self, found: _Found, kind: Kind, data: bytes, start: int) -> int:
        """Let go of a bad record without a line end, once it is too long to wait for that."""
        if len(data) - start < self._held_bytes:
            return start
        self._long = LongRecord(self._line, kind)
        return self._take_fragment(self._long, found, data[start:], start)

    def _take_fragment(self, record: LongRecord, found: _Found, fragment: bytes, start: int) -> int:
        record.feed(fragment)
        found.fragment = fragment
        self._line += fragment.count(b"\n")
        return start + len(fragment)

    def _go_on_with(self, record: LongRecord, found: _Found, data: bytes, *, last: bool) -> int:
        end = data.find(b"\n") + 1 or (len(data) if last else 0)
        if not end and not last:
            return self._take_fragment(record, found, data, 0)
        found.rejects.append(record.reject(data[:end], self._judge))
        self._line += data.count(b"\n", 0, end)
        self._long = None
        return end

    def _block(self, found: _Found) -> Block:
        """All that was found, in file order."""
        tables = []
        for runs in found.runs or ():
            rows, suspects = self._table.rows_of(runs)
            tables.append(rows)
            for line, record in suspects:
                found.add(self._judge.row_or_reject(line, record, _content(record)))
        if found.rows or not tables:
            tables.append(pl.DataFrame(found.rows, schema=self._schema, orient="row"))
        rows = tables[0] if len(tables) == 1 else pl.concat(tables).sort(LINE)
        found.rejects.sort(key=lambda reject: reject.line)
        return Block(rows, tuple(found.rejects), found.fragment)


def _whole_lines(data: bytes, most: int) -> bytes:
    """The whole physical lines that `data` begins with, `most` of them at most."""
    end = data.rfind(b"\n") + 1
    if data.count(b"\n") > most:
        end = behind_lines(data, 0, most)
    return data if end == len(data) else data[:end]


def _content(record: bytes) -> bytes:
    """A record that ends with its line, without the end."""
    return record[:-2] if record.endswith(b"\r\n") else record[:-1]


def _with_nul_for_invalid(data: bytes) -> bytes:
    """`data` with a NUL in the place of every byte that is not UTF-8; usually `data` itself."""
    if data.isascii() or _is_utf8(data):
        return data
    return data.decode(errors=_NUL_FOR_INVALID).encode()


def _is_utf8(data: bytes) -> bool:
    """Asked of polars: a tenth of the time that `decode` takes."""
    try:
        pl.Series([data], dtype=pl.Binary).cast(pl.String)
    except pl.exceptions.ComputeError:
        return False
    return True


def _nul_for_invalid(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\0" * (error.end - error.start), error.end


_NUL_FOR_INVALID = "node_import.nul_for_invalid"
codecs.register_error(_NUL_FOR_INVALID, _nul_for_invalid)
