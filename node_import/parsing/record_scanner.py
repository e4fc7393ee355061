"""Where a record ends, and whether its quotes are right: the grammar of the contract ("Files").

A quote means something only where a field begins. A quote fault rejects the physical line on
which the record began and nothing more, so one byte of a hostile file can be read as part of
many records: each line may open a quote, each within reach of the next 1 MiB. The scanner stays
linear because it remembers. Two records that open a quote at the same byte go on alike from
there; so the openings are nodes of a forest, each with its next one, each scanned once, and a
later record jumps to the furthest node that an earlier one reached (union-find with path
compression). The earlier record's limit lies before the later one's, so no limit is jumped over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto


class Kind(Enum):
    """What a scan found."""

    RECORD = auto()  # well formed
    MALFORMED_QUOTE = auto()  # something other than a delimiter or line end after a closing quote
    UNTERMINATED_QUOTE = auto()  # still within quotes at the limit, or where the file ends
    TOO_LONG = auto()  # passes the limit outside quotes


@dataclass(frozen=True, slots=True)
class Extent:
    """A record, or the physical line that a quote fault rejects; positions in the scanned data."""

    kind: Kind
    content_end: int  # without the line end; of interest for RECORD only
    end: int | None  # with the line end; None if that is not in the data yet


class _Stop(Enum):
    """Why a run of fields ends."""

    OPENING = auto()  # a quote opens a field here
    LINE_END = auto()  # the LF here, or the end of the file
    FAULT = auto()  # this byte may not stand behind a closing quote
    CUT_IN_QUOTES = auto()  # the data ends, within quotes or undecided right behind one
    CUT_OUTSIDE = auto()  # the data ends, outside quotes


class RecordScanner:
    """Scans records of one piece of a file, in ascending order of their starts.

    `limit` is in bytes of a record without its line end. `last` says that the file ends with
    `data`. `nodes_scanned` counts the work: quoted fields looked at.
    """

    def __init__(self, data: bytes, delimiter: bytes, limit: int, *, last: bool) -> None:
        self._data = data
        self._limit = limit
        self._last = last
        self._delimiter = delimiter[0]
        self._next: dict[int, int] = {}  # opening quote -> a later opening quote of its record
        self._stops: dict[int, tuple[_Stop, int, int]] = {}  # opening quote -> stop, at, close
        escaped = re.escape(delimiter)
        self._skip_unquoted = re.compile(rb'(?:(?!")[^%b\n]*+%b)*+' % (escaped, escaped)).match
        self.nodes_scanned = 0

    def scan(self, start: int) -> Extent | None:
        """The record that begins at `start`, or None if more of the file is needed to tell."""
        data = self._data
        line_end = data.find(b"\n", start, start + self._limit + 1)
        if line_end >= 0 and data.find(b'"', start, line_end) < 0:
            return Extent(Kind.RECORD, _before_cr(data, start, line_end), line_end + 1)
        kind, at = self._follow(start, start + self._limit)
        if kind is None:
            return None
        if kind is Kind.RECORD:
            return Extent(kind, self._content_end(start, at), min(at + 1, len(data)))
        if kind is Kind.MALFORMED_QUOTE:
            return self._malformed(start)
        search_from = start + self._limit if kind is Kind.TOO_LONG else start
        return Extent(kind, 0, self._line_end(search_from))

    def _follow(self, start: int, limit_end: int) -> tuple[Kind | None, int]:
        """From field to field until the record ends or fails: what it is, and where."""
        stop, at = self._run(start)
        passed: list[int] = []
        while stop is _Stop.OPENING and at < limit_end:
            opening = self._furthest(at, passed)
            stop, at, close = self._stop_of(opening)
            if close > limit_end or (stop is _Stop.CUT_IN_QUOTES and self._last):
                self._remember(passed, opening)
                return self._if_known(Kind.UNTERMINATED_QUOTE, limit_end), at
            passed.append(opening)
        self._remember(passed, passed[-1] if passed else start)
        return self._judged(stop, at, start, limit_end)

    def _judged(self, stop: _Stop, at: int, start: int, limit_end: int) -> tuple[Kind | None, int]:
        """What a record is that stops so, all its quoted fields closing within the limit."""
        if stop is _Stop.LINE_END and self._content_end(start, at) <= limit_end:
            return Kind.RECORD, at
        if stop is _Stop.FAULT and at < limit_end:
            return Kind.MALFORMED_QUOTE, at
        if stop is _Stop.CUT_IN_QUOTES:
            return self._if_known(Kind.UNTERMINATED_QUOTE, limit_end), at
        return self._if_known(Kind.TOO_LONG, limit_end), at

    def _if_known(self, kind: Kind, limit_end: int) -> Kind | None:
        """`kind`, unless the bytes that could still decide otherwise (CR, LF) are not here yet."""
        behind = self._data[limit_end : limit_end + 2]
        return kind if self._last or behind not in {b"", b"\r"} else None

    def _furthest(self, opening: int, passed: list[int]) -> int:
        """The furthest opening known to follow `opening`; those on the way go to `passed`."""
        while (following := self._next.get(opening)) is not None:
            passed.append(opening)
            opening = following
        return opening

    def _remember(self, passed: list[int], furthest: int) -> None:
        for opening in passed:
            if opening != furthest:
                self._next[opening] = furthest

    def _stop_of(self, opening: int) -> tuple[_Stop, int, int]:
        """Where the fields from `opening` stop, and the end of its quoted field; remembered."""
        known = self._stops.get(opening)
        if known is None:
            known = self._stops[opening] = self._scan_quoted(opening)
            self.nodes_scanned += 1
        return known

    def _scan_quoted(self, opening: int) -> tuple[_Stop, int, int]:
        data, size = self._data, len(self._data)
        found = _QUOTED.match(data, opening)
        if found is None or (found.end() == size and not self._last):
            return _Stop.CUT_IN_QUOTES, size, 0
        close = found.end()
        if close == size or data[close] == _LF:
            return _Stop.LINE_END, close, close
        if data[close] == self._delimiter:
            return *self._run(close + 1), close
        if data[close] == _CR:
            if data[close + 1 : close + 2] == b"\n":
                return _Stop.LINE_END, close + 1, close
            if close + 1 == size and not self._last:
                return _Stop.CUT_IN_QUOTES, size, close
        return _Stop.FAULT, close, close

    def _run(self, position: int) -> tuple[_Stop, int]:
        """Skip unquoted fields from the field that begins at `position`."""
        data = self._data
        field = self._skip_unquoted(data, position).end()  # type: ignore[union-attr]  # always
        if data.startswith(b'"', field):
            return _Stop.OPENING, field
        line_end = data.find(b"\n", field)
        if line_end >= 0:
            return _Stop.LINE_END, line_end
        return (_Stop.LINE_END if self._last else _Stop.CUT_OUTSIDE), len(data)

    def _content_end(self, start: int, line_end: int) -> int:
        if line_end == len(self._data):  # the last line of the file, without an end
            return line_end
        return _before_cr(self._data, start, line_end)

    def _line_end(self, position: int) -> int | None:
        """The start of the physical line behind `position`, if it is known."""
        line_end = self._data.find(b"\n", position)
        if line_end >= 0:
            return line_end + 1
        return len(self._data) if self._last else None

    def _malformed(self, start: int) -> Extent | None:
        """A malformed record: its first physical line, which may be too long for a record."""
        end = self._line_end(start)
        if end is None:
            known = self._if_known(Kind.TOO_LONG, start + self._limit)
            return Extent(known, 0, None) if known is not None else None
        has_end = self._data.startswith(b"\n", end - 1)
        content_end = _before_cr(self._data, start, end - 1) if has_end else end
        too_long = content_end - start > self._limit
        return Extent(Kind.TOO_LONG if too_long else Kind.MALFORMED_QUOTE, 0, end)


_QUOTED = re.compile(rb'"[^"]*+(?:""[^"]*+)*+"')
_LF = ord("\n")
_CR = ord("\r")


def _before_cr(data: bytes, start: int, line_end: int) -> int:
    """The end of the content before the LF at `line_end`: a CR right before it belongs to it."""
    return line_end - 1 if line_end > start and data[line_end - 1] == _CR else line_end
